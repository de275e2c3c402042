-- migrate:up

-- Keys of the API. `hash` is a keyed BLAKE2b of the key's secret; what it is keyed with (API_SECRET) is never in the database.
-- Rows stay when a key is revoked: histories name it, and a cursor stays good.
CREATE TABLE api_keys (
    id              uuid        PRIMARY KEY,
    name            text        NOT NULL,
    tenant          text        NOT NULL CHECK (tenant <> ''),
    scopes          text[]      NOT NULL CHECK (cardinality(scopes) > 0),
    hash            bytea       NOT NULL CHECK (length(hash) = 32),
    created_at      timestamptz NOT NULL DEFAULT now(),
    expires_at      timestamptz,
    revoked_at      timestamptz,
    last_used_at    timestamptz,
    -- The key that it was rotated to, once: what is left of its life is no measure for another one's.
    replaced_by     uuid,
    rate_limit      integer     CHECK (rate_limit >= 0),
    max_active_jobs integer     CHECK (max_active_jobs >= 0)
);

CREATE INDEX api_keys_newest ON api_keys (created_at DESC, id DESC);

-- How often a client has asked in its present window. Unlogged: a crash of the database begins every window anew, and costs no more.
CREATE UNLOGGED TABLE rate_windows (
    client  text        PRIMARY KEY,
    ends_at timestamptz NOT NULL,
    used    bigint      NOT NULL
) WITH (fillfactor = 70);

-- migrate:down

DROP TABLE rate_windows;
DROP TABLE api_keys;
