-- A document that another replaces stays for as long as a Pod of it is needed: its next version may not
-- have arrived when the device starts again.

ALTER TABLE documents RENAME TO accepted_documents;

CREATE TABLE documents (
  number      INTEGER NOT NULL PRIMARY KEY,  -- the greatest of a source is the accepted one
  source      TEXT NOT NULL,
  revision    INTEGER NOT NULL,
  digest      TEXT NOT NULL,
  payload     BLOB NOT NULL,
  accepted_at INTEGER NOT NULL,
  checksum    TEXT NOT NULL  -- over all of the others but the number
) STRICT;

INSERT INTO documents (source, revision, digest, payload, accepted_at, checksum)
SELECT source, revision, digest, payload, accepted_at, checksum FROM accepted_documents;

DROP TABLE accepted_documents;
