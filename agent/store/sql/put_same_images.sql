INSERT INTO same_images (workload, wanted_hash, pod_hash) VALUES (?1, ?2, ?3)
ON CONFLICT (workload) DO UPDATE SET wanted_hash = excluded.wanted_hash, pod_hash = excluded.pod_hash;
