-- What was kept goes: a cache may be empty. The value stands last, so that what is asked for beside
-- it does not lead through it.
DROP TABLE entries;

CREATE TABLE entries (
  workload TEXT NOT NULL,
  key      TEXT NOT NULL,
  type     TEXT NOT NULL,     -- the content type it was put with
  boot     TEXT NOT NULL,
  until    INTEGER NOT NULL,  -- ns since that boot
  wall     INTEGER NOT NULL,  -- ns since 1970
  checksum INTEGER NOT NULL,  -- CRC-32 of the others: SQLite does not notice a flipped bit in a value
  value    BLOB NOT NULL,
  PRIMARY KEY (workload, key)
) STRICT;
