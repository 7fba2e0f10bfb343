DELETE FROM events WHERE number <= (SELECT number FROM events ORDER BY number LIMIT 1 OFFSET ?1 - 1);
