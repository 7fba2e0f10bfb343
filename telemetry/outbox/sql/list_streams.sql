SELECT id, name, epoch, acked, next, cursor FROM streams ORDER BY id;
