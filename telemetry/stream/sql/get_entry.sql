SELECT value, type, boot, until, wall FROM entries WHERE workload = ?1 AND key = ?2;
