-- The newest ?1 whose answer no broker has acknowledged.
SELECT number, source, request, received_at, asked_on, response_topic, correlation, answer,
       delivered
FROM commands WHERE delivered = 0 ORDER BY number DESC LIMIT ?1;
