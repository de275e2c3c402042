-- migrate:up

-- What only one process may do at a time: who does it, and until when. Its holder renews it; whoever finds it over may take it.
CREATE TABLE leases (
    name       text        PRIMARY KEY,
    -- host:pid:id, for people who look into the table; the id is the fence.
    holder     text        NOT NULL,
    expires_at timestamptz NOT NULL
);

-- migrate:down

DROP TABLE leases;
