-- A request id counts once, whatever topic it came on. Where it came on two before, the first was it.

ALTER TABLE commands RENAME TO commands_by_source;

CREATE TABLE commands (
  number         INTEGER NOT NULL PRIMARY KEY,  -- in the order in which they came
  source         TEXT NOT NULL,
  request        TEXT NOT NULL UNIQUE,
  received_at    INTEGER NOT NULL,
  asked_on       TEXT NOT NULL,  -- the source on which it was asked for last
  response_topic TEXT NOT NULL,  -- '': the device's own for that request
  correlation    BLOB NOT NULL,
  answer         TEXT NOT NULL,     -- '': none yet
  delivered      INTEGER NOT NULL   -- 1: a broker has acknowledged the answer
) STRICT;

INSERT INTO commands
SELECT number, source, request, received_at, source, response_topic, correlation, answer, delivered
FROM commands_by_source
WHERE number IN (SELECT min(number) FROM commands_by_source GROUP BY request);

DROP TABLE commands_by_source;
