SELECT ifnull(sum(length(value) + length(key) + ?2), 0), count(*) FROM entries WHERE workload = ?1;
