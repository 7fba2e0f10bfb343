UPDATE commands SET answer = ?1 WHERE answer = '';
