-- The statements of Idempotency-Keys, each under its name. $1 … are named in idempotency.py.

-- name: claim
-- A new key, or one that is older than a day, begins anew; one whose holder fell silent is taken over with the job that it had begun.
INSERT INTO idempotency_keys AS k (tenant, client, key, request, job_id, claimed_at)
VALUES ($1, $2, $3, $4, $5, now())
ON CONFLICT (tenant, client, key) DO UPDATE SET
    claimed_at = now(),
    request    = CASE WHEN k.claimed_at < now() - $7::interval THEN excluded.request ELSE k.request END,
    job_id     = CASE WHEN k.claimed_at < now() - $7::interval THEN excluded.job_id ELSE k.job_id END,
    answer     = NULL
WHERE k.claimed_at < now() - $7::interval
   OR (k.answer IS NULL AND k.claimed_at < now() - $6::interval AND k.request = excluded.request)
RETURNING job_id

-- name: standing
SELECT request, answer FROM idempotency_keys WHERE (tenant, client, key) = ($1, $2, $3)

-- name: answer
UPDATE idempotency_keys SET answer = $5 WHERE (tenant, client, key, job_id) = ($1, $2, $3, $4)

-- name: release
-- Never that of a job that stands: the next request with it would make another.
DELETE FROM idempotency_keys
WHERE (tenant, client, key, job_id) = ($1, $2, $3, $4) AND answer IS NULL AND NOT EXISTS (SELECT FROM job_events WHERE job_id = $4)

-- name: sweep
DELETE FROM idempotency_keys WHERE claimed_at < now() - $1::interval
