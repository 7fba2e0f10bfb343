INSERT INTO documents (source, revision, digest, payload, accepted_at, checksum)
VALUES (?1, ?2, ?3, ?4, ?5, ?6);
