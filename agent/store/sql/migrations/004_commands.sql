-- Commands that were taken, so that none is carried out twice: written before one is carried out,
-- its answer after. Times are nanoseconds since 1970 in UTC.

CREATE TABLE commands (
  number         INTEGER NOT NULL PRIMARY KEY,  -- in the order in which they came
  source         TEXT NOT NULL,
  request        TEXT NOT NULL,
  received_at    INTEGER NOT NULL,
  response_topic TEXT NOT NULL,  -- '': the device's own for that request
  correlation    BLOB NOT NULL,
  answer         TEXT NOT NULL,     -- '': none yet
  delivered      INTEGER NOT NULL,  -- 1: a broker has acknowledged the answer
  UNIQUE (source, request)
) STRICT;

-- What a person ordered about a workload, against what its document says.
CREATE TABLE workload_orders (
  workload   TEXT NOT NULL PRIMARY KEY,
  kind       TEXT NOT NULL,
  given_by   TEXT NOT NULL,
  ordered_at INTEGER NOT NULL
) STRICT;
