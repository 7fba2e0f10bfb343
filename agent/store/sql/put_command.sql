INSERT INTO commands (source, request, received_at, response_topic, correlation, answer, delivered)
VALUES (?1, ?2, ?3, ?4, ?5, '', 0)
RETURNING number;
