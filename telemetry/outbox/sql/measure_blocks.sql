-- Records and bytes of a range; length() of a blob reads no content. 2^43 is what a stream's id is
-- multiplied by in keys.
SELECT ifnull(sum(key % 8796093022208 - first + 1), 0), ifnull(sum(length(lines) + ?3), 0),
       ifnull(max(key), 0) FROM blocks WHERE key > ?1 AND key <= ?2;
