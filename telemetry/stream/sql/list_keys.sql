SELECT key, length(value) FROM entries WHERE workload = ?1 ORDER BY key;
