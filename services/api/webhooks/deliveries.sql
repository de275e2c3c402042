-- The statements of deliveries.py, each under its name.

-- name: take
-- Host by host, in an order of chance, so that no host keeps the others waiting; the index is stepped through from host to host.
WITH RECURSIVE hosts (host) AS (
    (SELECT host FROM webhook_deliveries WHERE state = 'pending' ORDER BY host LIMIT 1)
    UNION ALL
    SELECT (SELECT d.host FROM webhook_deliveries d WHERE d.state = 'pending' AND d.host > hosts.host ORDER BY d.host LIMIT 1)
    FROM hosts WHERE hosts.host IS NOT NULL
), room AS (
    SELECT host, $6::int - coalesce(busy.places, 0) AS places
    FROM hosts LEFT JOIN unnest($4::text[], $5::int[]) AS busy (host, places) USING (host)
    WHERE host IS NOT NULL ORDER BY random()
), due AS MATERIALIZED (
    SELECT found.id FROM room CROSS JOIN LATERAL (
        SELECT d.id FROM webhook_deliveries d
        WHERE d.state = 'pending' AND d.host = room.host AND d.due_at <= $1
        ORDER BY d.due_at LIMIT greatest(room.places, 0) FOR UPDATE SKIP LOCKED
    ) found LIMIT $7
)
UPDATE webhook_deliveries d SET due_at = $2, claim = $3, tries = tries + 1
FROM due WHERE d.id = due.id
RETURNING d.id, d.job_id, d.tenant, d.url, d.host, d.body, d.tries

-- name: settle
UPDATE webhook_deliveries
SET state = $3, due_at = $4, claim = NULL,
    attempts = CASE WHEN jsonb_array_length(attempts) >= 50 THEN attempts - 0 ELSE attempts END || $5::jsonb
WHERE id = $1 AND claim = $2

-- name: stop
UPDATE webhook_deliveries SET state = 'stopped', claim = NULL WHERE id IN (
    SELECT id FROM webhook_deliveries WHERE state = 'pending' AND host = $3 AND tenant = $1 AND url = $2 ORDER BY id FOR UPDATE
)
RETURNING id

-- name: of_job
SELECT id, type, run, state, created_at, due_at, attempts FROM webhook_deliveries WHERE job_id = $1 ORDER BY run

-- name: again
UPDATE webhook_deliveries SET state = 'pending', due_at = $3, claim = NULL, tries = 0 WHERE id = $1 AND job_id = $2
RETURNING id, type, run, state, created_at, due_at, attempts

-- name: backlog
SELECT count(*) AS pending, min(created_at) AS oldest, min(due_at) AS due FROM webhook_deliveries WHERE state = 'pending'

-- name: sweep
DELETE FROM webhook_deliveries WHERE id IN (SELECT id FROM webhook_deliveries WHERE created_at < $1 LIMIT $2) RETURNING id
