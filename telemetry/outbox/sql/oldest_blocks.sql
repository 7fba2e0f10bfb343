SELECT key, first, length(lines) FROM blocks WHERE key > ?1 AND key <= ?2 ORDER BY key;
