SELECT id, name, epoch, acked, next, cursor, checksum FROM streams ORDER BY id;
