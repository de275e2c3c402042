-- migrate:up

-- Which signing secrets a tenant has. The secrets themselves are nowhere: each is derived from API_SECRET, the tenant and the id.
CREATE TABLE webhook_secrets (
    id         uuid        PRIMARY KEY,
    tenant     text        NOT NULL,
    created_at timestamptz NOT NULL,
    -- Of the newest there is none; one that was replaced goes on for a day.
    expires_at timestamptz
);

CREATE INDEX webhook_secrets_of_tenant ON webhook_secrets (tenant, created_at DESC);

-- What is to be told, and what became of it: one row for each end of a job. The URL may hold secrets of the client's.
CREATE TABLE webhook_deliveries (
    id         uuid        PRIMARY KEY,
    job_id     uuid        NOT NULL,
    run        integer     NOT NULL,
    tenant     text        NOT NULL,
    type       text        NOT NULL,
    url        text        NOT NULL,
    host       text        NOT NULL,
    body       bytea       NOT NULL,
    created_at timestamptz NOT NULL,
    state      text        NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'failed', 'stopped')),
    -- When it may be taken: of one that a sender holds, when it is taken to have died.
    due_at     timestamptz NOT NULL,
    -- The sender's hold on it: what a sender says later than another one took over is not heard.
    claim      uuid,
    -- Since it was ordered, or ordered again: the back-off's place. `attempts` are all whose end is known.
    tries      integer     NOT NULL DEFAULT 0,
    attempts   jsonb       NOT NULL DEFAULT '[]',
    UNIQUE (job_id, run)
);

-- Whether anything is due; what of a tenant's is; and what of it is for one host.
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (due_at) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_due_of_tenant ON webhook_deliveries (tenant, due_at) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_for_host ON webhook_deliveries (tenant, host) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_age ON webhook_deliveries (created_at);

-- migrate:down

DROP TABLE webhook_deliveries;
DROP TABLE webhook_secrets;
