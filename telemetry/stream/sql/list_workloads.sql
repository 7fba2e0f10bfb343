SELECT DISTINCT workload FROM entries;
