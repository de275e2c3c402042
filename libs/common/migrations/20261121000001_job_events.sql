-- migrate:up

-- Every fact about every job. Append only; a job's events are ordered by seq, and event_id is the fence:
-- a stage's answer has an id derived from (job, stage, run), so its second answer is refused.
CREATE TABLE job_events (
    position   bigint GENERATED ALWAYS AS IDENTITY,
    -- Readers of all jobs follow (txid, position) below pg_snapshot_xmin: position alone is visible out of order.
    txid       xid8        NOT NULL DEFAULT pg_current_xact_id(),
    event_id   uuid        NOT NULL,
    job_id     uuid        NOT NULL,
    seq        integer     NOT NULL CHECK (seq > 0),
    type       text        NOT NULL,
    at         timestamptz NOT NULL,
    envelope   jsonb       NOT NULL,
    PRIMARY KEY (job_id, seq),
    CONSTRAINT job_events_event_id_key UNIQUE (event_id)
);

CREATE INDEX job_events_feed ON job_events (txid, position);

-- What the janitor has to look at, small however long the event table is. `open` is a hint that the fold corrects.
CREATE TABLE job_index (
    job_id     uuid        PRIMARY KEY,
    expires_at timestamptz NOT NULL,
    open       boolean     NOT NULL DEFAULT true
);

CREATE INDEX job_index_open ON job_index (job_id) WHERE open;
CREATE INDEX job_index_expiry ON job_index (expires_at);

-- migrate:down

DROP TABLE job_index;
DROP TABLE job_events;
