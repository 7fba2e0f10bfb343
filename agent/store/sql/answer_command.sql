UPDATE commands SET answer = ?2 WHERE number = ?1;
