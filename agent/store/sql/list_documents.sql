SELECT source, revision, digest, payload, accepted_at, checksum FROM documents ORDER BY source;
