INSERT OR REPLACE INTO gaps (stream, last, reason) VALUES (?1, ?2, ?3);
