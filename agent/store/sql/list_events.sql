SELECT number, at, workload, container, type, reason, message, revision
FROM events WHERE number > ?1 ORDER BY number LIMIT ?2;
