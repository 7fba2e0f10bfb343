INSERT OR REPLACE INTO entries (workload, key, type, boot, until, wall, checksum, value)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8);
