SELECT source, revision, digest, payload, accepted_at, checksum FROM documents
WHERE number IN (SELECT max(number) FROM documents GROUP BY source)
ORDER BY source;
