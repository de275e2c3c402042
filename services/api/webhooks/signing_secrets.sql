-- The statements of signing_secrets.py, each under its name.

-- name: lock
SELECT pg_advisory_xact_lock(hashtextextended('webhook secrets of ' || $1, 0))

-- name: age
UPDATE webhook_secrets SET expires_at = CASE
    WHEN id = (
        SELECT id FROM webhook_secrets WHERE tenant = $1 AND (expires_at IS NULL OR expires_at > $2) ORDER BY created_at DESC, id LIMIT 1
    ) THEN least(expires_at, $3)
    ELSE $2
END
WHERE tenant = $1 AND (expires_at IS NULL OR expires_at > $2)

-- name: make
INSERT INTO webhook_secrets (id, tenant, created_at) VALUES ($1, $2, $3)

-- name: live
SELECT id, created_at, expires_at FROM webhook_secrets
WHERE tenant = $1 AND (expires_at IS NULL OR expires_at > $2) ORDER BY created_at DESC, id LIMIT 2

-- name: end
DELETE FROM webhook_secrets WHERE id = $1 AND tenant = $2 AND (expires_at IS NULL OR expires_at > $3) RETURNING id

-- name: newest
-- The newest one has no end, whatever it had while there was a newer one.
UPDATE webhook_secrets SET expires_at = NULL WHERE id = (
    SELECT id FROM webhook_secrets WHERE tenant = $1 AND (expires_at IS NULL OR expires_at > $2) ORDER BY created_at DESC, id LIMIT 1
) AND expires_at IS NOT NULL

-- name: sweep
DELETE FROM webhook_secrets WHERE expires_at < $1
