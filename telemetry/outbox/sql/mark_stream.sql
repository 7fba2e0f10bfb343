UPDATE streams SET acked = ?2, next = ?3 WHERE id = ?1;
