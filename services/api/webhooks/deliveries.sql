-- The statements of deliveries.py, each under its name.

-- name: waiting
-- What is due, the oldest of each tenant, but for hosts and tenants that have all their places. While nothing is due it is one look into
-- an index; else tenants are stepped through, which are the operator's to make, and never hosts, which are anybody's.
WITH RECURSIVE tenants (tenant) AS (
    (SELECT tenant FROM webhook_deliveries
     WHERE state = 'pending' AND EXISTS (SELECT FROM webhook_deliveries WHERE state = 'pending' AND due_at <= $1) ORDER BY tenant LIMIT 1)
    UNION ALL
    SELECT (SELECT d.tenant FROM webhook_deliveries d WHERE d.state = 'pending' AND d.tenant > tenants.tenant ORDER BY d.tenant LIMIT 1)
    FROM tenants WHERE tenants.tenant IS NOT NULL
), asking AS (
    SELECT tenant FROM tenants WHERE tenant <> ALL ($2::text[])
    AND EXISTS (SELECT FROM webhook_deliveries d WHERE d.state = 'pending' AND d.tenant = tenants.tenant AND d.due_at <= $1)
    ORDER BY random() LIMIT $4
)
SELECT found.id, tenant, found.host FROM asking CROSS JOIN LATERAL (
    SELECT d.id, d.host FROM webhook_deliveries d
    WHERE d.state = 'pending' AND d.tenant = asking.tenant AND d.due_at <= $1 AND d.host <> ALL ($3::text[])
    ORDER BY d.due_at LIMIT $5
) found

-- name: take
-- Of these, what no other sender has taken meanwhile.
UPDATE webhook_deliveries d SET due_at = $2, claim = $3, tries = tries + 1
FROM (SELECT id FROM webhook_deliveries WHERE id = ANY ($4::uuid[]) AND state = 'pending' AND due_at <= $1 FOR UPDATE SKIP LOCKED) free
WHERE d.id = free.id
RETURNING d.id, d.job_id, d.tenant, d.url, d.host, d.body, d.tries,
    (SELECT envelope ->> 'traceparent' FROM job_events e WHERE e.job_id = d.job_id ORDER BY e.seq LIMIT 1) AS traceparent

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
