-- Until when an entry counts is kept twice: on the clock of the boot it was written in, which never
-- jumps, and on the wall clock for the boots after it. 0: for ever.
CREATE TABLE entries (
  workload TEXT NOT NULL,
  key      TEXT NOT NULL,
  value    BLOB NOT NULL,
  type     TEXT NOT NULL,     -- the content type it was put with
  boot     TEXT NOT NULL,
  until    INTEGER NOT NULL,  -- ns since that boot
  wall     INTEGER NOT NULL,  -- ns since 1970
  PRIMARY KEY (workload, key)
) STRICT;
