INSERT INTO blocks (key, first, checksum, lines) VALUES (?1, ?2, ?3, ?4);
