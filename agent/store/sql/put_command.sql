INSERT INTO commands
  (source, request, received_at, asked_on, response_topic, correlation, answer, delivered)
VALUES (?1, ?2, ?3, ?1, ?4, ?5, '', 0)
RETURNING number;
