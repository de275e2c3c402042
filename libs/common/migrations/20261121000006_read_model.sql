-- migrate:up

-- The API's read model: what lists, filters, queue positions and the cap of active jobs ask. Only the API writes it; it can be
-- made anew from the events at any time. `seq` is the last event that is in it: an older one changes nothing.
CREATE TABLE job_list (
    job_id      uuid        PRIMARY KEY,
    tenant      text        NOT NULL,
    client      text        NOT NULL,
    group_id    uuid,
    source_type text        NOT NULL,
    lane        smallint    NOT NULL,
    status      text        NOT NULL,
    created_at  timestamptz NOT NULL,
    begun_at    timestamptz,
    ended_at    timestamptz,
    seq         integer     NOT NULL
);

CREATE INDEX job_list_of_tenant ON job_list (tenant, created_at DESC, job_id DESC);
CREATE INDEX job_list_of_status ON job_list (tenant, status, created_at DESC, job_id DESC);
CREATE INDEX job_list_of_group ON job_list (group_id) WHERE group_id IS NOT NULL;
CREATE INDEX job_list_queued ON job_list (lane, created_at, job_id) WHERE status = 'queued';
CREATE INDEX job_list_active ON job_list (client) WHERE status IN ('queued', 'processing');
CREATE INDEX job_list_ended ON job_list (ended_at) WHERE ended_at IS NOT NULL;

-- How far the read model has followed the event feed; one row.
CREATE TABLE read_model_place (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    txid     xid8    NOT NULL,
    position bigint  NOT NULL
);

-- One row for each Idempotency-Key: whose it is, for which request, the job that it gives, and the answer once there is one.
CREATE TABLE idempotency_keys (
    tenant     text        NOT NULL,
    client     text        NOT NULL,
    key        text        NOT NULL,
    request    bytea       NOT NULL,
    job_id     uuid        NOT NULL,
    claimed_at timestamptz NOT NULL,
    answer     bytea,
    PRIMARY KEY (tenant, client, key)
);

CREATE INDEX idempotency_keys_age ON idempotency_keys (claimed_at);

-- migrate:down

DROP TABLE idempotency_keys;
DROP TABLE read_model_place;
DROP TABLE job_list;
