SELECT number, received_at, response_topic, correlation, answer, delivered
FROM commands WHERE source = ?1 AND request = ?2;
