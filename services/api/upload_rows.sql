-- The uploads' statements, each under its name. $1 … are named in upload_rows.py.

-- name: begin
INSERT INTO uploads (id, tenant, key, size, part_size, content_type, multipart_id, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: by_id
SELECT * FROM uploads WHERE id = $1 AND tenant = $2 AND expires_at > $3

-- name: by_key
SELECT * FROM uploads WHERE key = $1 AND tenant = $2 AND expires_at > $3

-- name: complete
UPDATE uploads
SET state = 'complete', etag = coalesce(etag, $2), completed_at = coalesce(completed_at, $3), expires_at = $4
WHERE id = $1 AND expires_at > now()
RETURNING *

-- name: lock
-- Before `forget`, whose snapshot then has every job that was written while this waited (read_model.sql, open).
SELECT FROM uploads WHERE id = $1 FOR UPDATE

-- name: forget
-- The row stays until the janitor sweeps it, as one that has expired: a job that is just being written must not take it for one that
-- never was. A minute ago, for those who began before it and look after, and for clocks that differ.
UPDATE uploads SET expires_at = least(expires_at, now() - interval '1 minute')
WHERE id = $1 AND NOT EXISTS (
    SELECT FROM job_events WHERE type = 'clips.requested' AND envelope -> 'event' ->> 'uploadKey' = uploads.key
)
RETURNING id
