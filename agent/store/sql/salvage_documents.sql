-- In the order they lie in the file, so that no index is needed to read them.
SELECT source, revision, digest, payload, accepted_at, checksum FROM documents NOT INDEXED;
