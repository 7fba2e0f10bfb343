INSERT INTO events (number, at, workload, container, type, reason, message, revision)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8);
