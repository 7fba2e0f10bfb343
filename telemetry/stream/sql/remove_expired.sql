-- ?1: the boot that is, ?2: its clock, ?3: the wall clock.
DELETE FROM entries WHERE until <> 0
  AND ((boot = ?1 AND until <= ?2) OR (boot <> ?1 AND wall <= ?3)) AND workload = ?4;
