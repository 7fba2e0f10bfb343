DELETE FROM streams WHERE id = ?1;
