INSERT INTO streams (id, name, epoch, acked, next) VALUES (?1, ?2, ?3, 0, 1);
