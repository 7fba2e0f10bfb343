UPDATE commands SET delivered = 1 WHERE number = ?1;
