INSERT INTO documents (source, revision, digest, payload, accepted_at, checksum)
VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (source) DO UPDATE SET
  revision = excluded.revision, digest = excluded.digest, payload = excluded.payload,
  accepted_at = excluded.accepted_at, checksum = excluded.checksum;
