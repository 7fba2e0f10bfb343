-- What a Pod runs that its document has by now under other references; the images are the same.

CREATE TABLE same_images (
  workload    TEXT NOT NULL PRIMARY KEY,
  wanted_hash TEXT NOT NULL,
  pod_hash    TEXT NOT NULL
) STRICT;
