SELECT workload, wanted_hash, pod_hash FROM same_images ORDER BY workload;
