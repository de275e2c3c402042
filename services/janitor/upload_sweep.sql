-- The statements of the sweep of uploads, each under its name. $1 … are named in upload_sweep.py.

-- name: expired
-- From a place on, with those that a job needs: however many these are, each is looked at once in a sweep. A subquery of its own
-- for each: as a join it could be planned as a look at all jobs.
SELECT id, key, multipart_id, state, size, created_at, expires_at, (
    SELECT true FROM job_events WHERE type = 'clips.requested' AND envelope -> 'event' ->> 'uploadKey' = uploads.key LIMIT 1
) IS NOT NULL AS is_needed
FROM uploads WHERE expires_at < $1 AND (expires_at, id) > ($2, $3) ORDER BY expires_at, id LIMIT $4

-- name: remove
DELETE FROM uploads WHERE id = ANY($1)
