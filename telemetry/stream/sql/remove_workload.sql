DELETE FROM entries WHERE workload = ?1;
