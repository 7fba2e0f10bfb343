SELECT number, source, request, received_at, asked_on, response_topic, correlation, answer,
       delivered
FROM commands WHERE request = ?1;
