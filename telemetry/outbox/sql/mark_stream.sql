UPDATE streams SET acked = ?2, next = ?3, cursor = ?4, checksum = ?5 WHERE id = ?1;
