SELECT workload, digest, name, spec_hash, use_order, used_at FROM image_use ORDER BY use_order;
