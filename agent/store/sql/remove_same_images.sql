DELETE FROM same_images WHERE workload = ?1;
