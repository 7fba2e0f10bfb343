DELETE FROM documents WHERE source = ?1 AND revision = ?2
  AND number <> (SELECT max(number) FROM documents WHERE source = ?1);
