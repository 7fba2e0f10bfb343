SELECT workload, container, spec_hash, restarts, last_exit_code, last_reason, last_started_at,
       last_finished_at
FROM container_history ORDER BY workload, container;
