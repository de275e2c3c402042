-- The statements of the sweep of uploads, each under its name. $1 … are named in upload_sweep.py.

-- name: expired
SELECT id, key, multipart_id, state FROM uploads
WHERE expires_at < $1 AND NOT EXISTS (
    SELECT FROM job_events WHERE type = 'clips.requested' AND envelope -> 'event' ->> 'uploadKey' = uploads.key
)
ORDER BY expires_at LIMIT $2

-- name: remove
DELETE FROM uploads WHERE id = ANY($1)
