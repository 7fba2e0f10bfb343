UPDATE commands SET response_topic = ?2, correlation = ?3 WHERE number = ?1;
