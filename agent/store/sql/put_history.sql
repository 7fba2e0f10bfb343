INSERT INTO container_history (workload, container, spec_hash, restarts, last_exit_code,
                               last_reason, last_started_at, last_finished_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
ON CONFLICT (workload, container) DO UPDATE SET
  spec_hash = excluded.spec_hash, restarts = excluded.restarts,
  last_exit_code = excluded.last_exit_code, last_reason = excluded.last_reason,
  last_started_at = excluded.last_started_at, last_finished_at = excluded.last_finished_at
WHERE (spec_hash, restarts, last_exit_code, last_reason, last_started_at, last_finished_at) IS NOT
  (excluded.spec_hash, excluded.restarts, excluded.last_exit_code, excluded.last_reason,
   excluded.last_started_at, excluded.last_finished_at);
