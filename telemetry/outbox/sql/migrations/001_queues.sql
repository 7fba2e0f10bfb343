-- One queue for each stream. Its records are numbered from 1, without holes, for as long as the
-- epoch lasts.
CREATE TABLE streams (
  id    INTEGER NOT NULL PRIMARY KEY,
  name  TEXT NOT NULL UNIQUE,  -- the topic below the device's own
  epoch TEXT NOT NULL,
  acked INTEGER NOT NULL,      -- the last record that the broker acknowledged
  next  INTEGER NOT NULL,      -- the next number when that was written: blocks may go beyond it
  cursor INTEGER NOT NULL DEFAULT 0  -- how far the log has been read that fills the queue
) STRICT;

-- The records that were committed together: whole JSON objects, one a line, the newline between.
CREATE TABLE blocks (
  key      INTEGER NOT NULL PRIMARY KEY,  -- stream * 2^43 + the number of its last record
  first    INTEGER NOT NULL,              -- the number of its first record
  checksum INTEGER NOT NULL,              -- CRC-32 of key, first and lines
  lines    BLOB NOT NULL
) STRICT;

-- Why there are no records with these numbers.
CREATE TABLE gaps (
  stream INTEGER NOT NULL REFERENCES streams (id) ON DELETE CASCADE,
  last   INTEGER NOT NULL,
  reason TEXT NOT NULL,
  PRIMARY KEY (stream, last)
) STRICT, WITHOUT ROWID;
