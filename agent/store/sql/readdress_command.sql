UPDATE commands SET asked_on = ?2, response_topic = ?3, correlation = ?4 WHERE number = ?1;
