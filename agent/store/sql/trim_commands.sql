-- The oldest of those that have their answer, as many as there are more than ?1.
DELETE FROM commands WHERE number IN (
  SELECT number FROM commands WHERE answer <> '' ORDER BY number
  LIMIT max(0, (SELECT count(*) FROM commands) - ?1));
