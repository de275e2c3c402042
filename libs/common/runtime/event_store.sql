-- The event store's statements, each under its name. $1 … are named in event_store.py.

-- name: append
INSERT INTO job_events (event_id, job_id, seq, type, at, envelope)
SELECT $1, $2, coalesce(max(seq), 0) + 1, $3, $4, $5::jsonb FROM job_events WHERE job_id = $2
ON CONFLICT ON CONSTRAINT job_events_event_id_key DO NOTHING
RETURNING seq

-- name: append_opening
WITH appended AS (
    INSERT INTO job_events (event_id, job_id, seq, type, at, envelope)
    SELECT $1, $2, coalesce(max(seq), 0) + 1, $3, $4, $5::jsonb FROM job_events WHERE job_id = $2
    ON CONFLICT ON CONSTRAINT job_events_event_id_key DO NOTHING
    RETURNING seq
), indexed AS (
    INSERT INTO job_index (job_id, expires_at) SELECT $2, $6 FROM appended
    ON CONFLICT (job_id) DO UPDATE SET open = true
)
SELECT seq FROM appended

-- name: standing
SELECT envelope FROM job_events WHERE event_id = $1

-- name: history
SELECT type, envelope FROM job_events WHERE job_id = $1 ORDER BY seq

-- name: silent
SELECT i.job_id FROM job_index i
CROSS JOIN LATERAL (SELECT e.at FROM job_events e WHERE e.job_id = i.job_id ORDER BY e.seq DESC LIMIT 1) last
WHERE i.open AND i.job_id > $1 AND last.at < $2
ORDER BY i.job_id LIMIT $3

-- name: unbegun
SELECT count(*) FROM (
    SELECT FROM job_index i
    CROSS JOIN LATERAL (SELECT e.type FROM job_events e WHERE e.job_id = i.job_id ORDER BY e.seq DESC LIMIT 1) last
    WHERE i.open AND last.type IN ('clips.requested', 'job.replayed') LIMIT $1
) waiting

-- name: close
UPDATE job_index SET open = false WHERE job_id = ANY($1)

-- name: expired
SELECT job_id FROM job_index WHERE expires_at < $1 ORDER BY expires_at LIMIT $2

-- name: hasten
UPDATE job_index SET expires_at = least(expires_at, $2) WHERE job_id = $1

-- name: forget
WITH gone AS (DELETE FROM job_events WHERE job_id = $1 AND type <> 'job.expired')
UPDATE job_index SET open = false, expires_at = $2 WHERE job_id = $1

-- name: purge
WITH gone AS (DELETE FROM job_events WHERE job_id = $1)
DELETE FROM job_index WHERE job_id = $1

-- name: is_upload_needed
SELECT EXISTS (SELECT FROM job_events WHERE type = 'clips.requested' AND envelope -> 'event' ->> 'uploadKey' = $1)
    OR EXISTS (SELECT FROM uploads WHERE key = $1 AND expires_at > now())

-- name: lease
SELECT pg_try_advisory_lock(hashtextextended($1, 0))
