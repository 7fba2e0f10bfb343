SELECT workload, kind, given_by, ordered_at FROM workload_orders ORDER BY workload;
