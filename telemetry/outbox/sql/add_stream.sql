INSERT INTO streams (id, name, epoch, acked, next, cursor, checksum)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7);
