SELECT length(value) + length(key) + ?3 FROM entries WHERE workload = ?1 AND key = ?2;
