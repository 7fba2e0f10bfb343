SELECT number, received_at, response_topic, correlation, answer, delivered, source, request
FROM commands WHERE answer = '' OR delivered = 0 ORDER BY number;
