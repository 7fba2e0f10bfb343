SELECT source, revision, digest, payload, accepted_at, checksum FROM documents
WHERE number NOT IN (SELECT max(number) FROM documents GROUP BY source)
ORDER BY number;
