DELETE FROM workload_orders WHERE workload = ?1;
