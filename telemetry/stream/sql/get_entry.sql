SELECT value, type, boot, until, wall, checksum FROM entries WHERE workload = ?1 AND key = ?2;
