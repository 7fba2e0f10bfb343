INSERT INTO workload_orders (workload, kind, given_by, ordered_at) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (workload) DO UPDATE SET
  kind = excluded.kind, given_by = excluded.given_by, ordered_at = excluded.ordered_at;
