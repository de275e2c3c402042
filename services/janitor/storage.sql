-- The statements of orphans.py, missing.py, known_jobs.py and backfill_expiry_command.py, each under its name. $1 … are named there.
-- What a job's events say is a subquery of its own for each job: as a join it is planned as a look through all events of all jobs.

-- name: knows_jobs
SELECT EXISTS (SELECT FROM job_index)

-- name: living
SELECT job_id FROM job_index i WHERE job_id = ANY($1)
    AND (SELECT true FROM job_events e WHERE e.job_id = i.job_id AND type = 'job.expired' LIMIT 1) IS NULL

-- name: closed
SELECT job_id FROM job_index WHERE NOT open AND job_id > $1 AND expires_at > $2 ORDER BY job_id LIMIT $3

-- name: kept
-- Some that are over and have not expired. Of many that have expired only so many are passed over: no look is long.
SELECT job_id FROM (SELECT job_id FROM job_index WHERE NOT open AND job_id > $1 AND expires_at > $2 ORDER BY job_id LIMIT 1000) many
WHERE (SELECT true FROM job_events e WHERE e.job_id = many.job_id AND type = 'job.expired' LIMIT 1) IS NULL
LIMIT 20

-- name: histories
SELECT job_id, type, envelope FROM job_events WHERE job_id = ANY($1) ORDER BY job_id, seq

-- name: asked
SELECT i.job_id, i.open, i.expires_at,
    (SELECT e.at FROM job_events e WHERE e.job_id = i.job_id AND type = 'clips.requested' LIMIT 1) AS asked_at,
    (SELECT true FROM job_events e WHERE e.job_id = i.job_id AND type = 'job.expired' LIMIT 1) IS NOT NULL AS has_expired
FROM job_index i WHERE i.job_id > $1 AND i.expires_at > $2 ORDER BY i.job_id LIMIT $3

-- name: keep_until
-- Only where it is as it was read: a job that was deleted meanwhile has another end.
UPDATE job_index SET expires_at = due.at FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[]) AS due (job_id, read, at)
WHERE job_index.job_id = due.job_id AND NOT open AND expires_at = due.read
RETURNING job_index.job_id
