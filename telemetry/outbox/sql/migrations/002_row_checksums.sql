-- CRC-32 of the row's other columns; 0: not written since there are checksums.
ALTER TABLE streams ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
