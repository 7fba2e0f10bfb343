DELETE FROM blocks WHERE key > ?1 AND key <= ?2;
