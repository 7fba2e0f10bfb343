DELETE FROM entries WHERE workload = ?1 AND key = ?2;
