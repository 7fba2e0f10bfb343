SELECT id, name, epoch, acked, next FROM streams ORDER BY id;
