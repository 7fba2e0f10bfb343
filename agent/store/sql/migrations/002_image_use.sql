-- Which workload last used which image, in which version of it. Workload '': nobody did, it came.
-- Rows are ordered by use_order, which grows with each use: the wall clock may be wrong.

CREATE TABLE image_use (
  workload  TEXT NOT NULL,
  digest    TEXT NOT NULL,
  name      TEXT NOT NULL,
  spec_hash TEXT NOT NULL,
  use_order INTEGER NOT NULL,
  used_at   INTEGER NOT NULL,
  PRIMARY KEY (workload, digest)
) STRICT, WITHOUT ROWID;
