SELECT 1 FROM documents WHERE source = ?1 AND revision = ?2 AND digest = ?3 AND payload = ?4
  AND number = (SELECT max(number) FROM documents WHERE source = ?1);
