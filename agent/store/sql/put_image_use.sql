INSERT INTO image_use (workload, digest, name, spec_hash, use_order, used_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (workload, digest) DO UPDATE SET
  name = excluded.name, spec_hash = excluded.spec_hash, use_order = excluded.use_order,
  used_at = excluded.used_at;
