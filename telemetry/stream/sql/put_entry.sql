INSERT OR REPLACE INTO entries (workload, key, value, type, boot, until, wall)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7);
