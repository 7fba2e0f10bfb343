-- Of those whose answer no broker has acknowledged, all but the newest ?1 are sent no more.
UPDATE commands SET delivered = 1 WHERE delivered = 0 AND answer <> '' AND number NOT IN (
  SELECT number FROM commands WHERE delivered = 0 ORDER BY number DESC LIMIT ?1);
