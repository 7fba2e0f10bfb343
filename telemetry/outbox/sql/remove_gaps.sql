DELETE FROM gaps WHERE stream = ?1 AND last > ?2 AND last <= ?3;
