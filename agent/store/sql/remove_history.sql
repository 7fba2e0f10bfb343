DELETE FROM container_history WHERE workload = ?1;
