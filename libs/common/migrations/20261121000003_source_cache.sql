-- migrate:up

-- What is fetched from URLs, so that jobs which ask for the same part of the same source fetch it once.
CREATE TABLE source_fetches (
    id            uuid             PRIMARY KEY,
    -- SHA-256 of the URL and all else that decides the bytes: the URL itself may hold secrets.
    source        bytea            NOT NULL CHECK (octet_length(source) = 32),
    -- Seconds on the source's clock; -infinity to infinity is the whole file.
    section_start double precision NOT NULL,
    section_end   double precision NOT NULL,
    state         text             NOT NULL CHECK (state IN ('fetching', 'ready', 'failed')),
    -- The process that fetches, for people who look into the table: the id is the fence.
    holder        text             NOT NULL,
    object_key    text             UNIQUE,
    -- Kept as they came: jsonb would refuse a NUL that a hostile title escapes.
    result        json,
    failure       json,
    created_at    timestamptz      NOT NULL DEFAULT now(),
    -- Of a fetch the end of its holder's lease, of a ready source the end of its time, of a failure when it happened.
    expires_at    timestamptz      NOT NULL,
    CHECK (section_start < section_end),
    CHECK ((state = 'ready') = (object_key IS NOT NULL AND result IS NOT NULL)),
    CHECK ((state = 'failed') = (failure IS NOT NULL))
);

CREATE INDEX source_fetches_source ON source_fetches (source);
CREATE INDEX source_fetches_expiry ON source_fetches (expires_at);

-- migrate:down

DROP TABLE source_fetches;
