-- As remove_expired, of every workload.
DELETE FROM entries WHERE until <> 0
  AND ((boot = ?1 AND until <= ?2) OR (boot <> ?1 AND wall <= ?3));
