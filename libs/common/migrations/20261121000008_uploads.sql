-- migrate:up

-- Files that clients put into S3 themselves, each an S3 multipart upload of ours: whose it is, and whether it is whole.
-- What comes through POST /api/jobs/upload has no row: its job is its owner.
CREATE TABLE uploads (
    id           uuid        PRIMARY KEY,
    tenant       text        NOT NULL,
    key          text        NOT NULL UNIQUE,
    -- Bytes, as declared and signed; all parts have part_size but for the last.
    size         bigint      NOT NULL CHECK (size > 0),
    part_size    bigint      NOT NULL CHECK (part_size > 0),
    content_type text        NOT NULL,
    multipart_id text        NOT NULL,
    state        text        NOT NULL DEFAULT 'uploading' CHECK (state IN ('uploading', 'complete')),
    etag         text,
    created_at   timestamptz NOT NULL,
    completed_at timestamptz,
    -- Until then it may be sent, or used in jobs; the janitor removes it after.
    expires_at   timestamptz NOT NULL,
    CHECK ((state = 'complete') = (etag IS NOT NULL AND completed_at IS NOT NULL))
);

CREATE INDEX uploads_expiry ON uploads (expires_at);

-- migrate:down

DROP TABLE uploads;
