SELECT reason FROM gaps WHERE stream = ?1 AND last > ?2 AND last < ?3 ORDER BY last DESC LIMIT 1;
