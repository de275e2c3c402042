-- name: add_key
INSERT INTO api_keys (id, name, tenant, scopes, hash, expires_at, rate_limit, max_active_jobs)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
RETURNING *

-- name: find_key
SELECT * FROM api_keys WHERE id = $1

-- name: list_keys
SELECT * FROM api_keys
WHERE $2::uuid IS NULL OR (created_at, id) < (SELECT created_at, id FROM api_keys WHERE id = $2)
ORDER BY created_at DESC, id DESC
LIMIT $1

-- name: revoke_key
UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE id = $1 RETURNING *

-- name: rotate_key
-- The old one until $4 at the latest, the new one ($2, hash $3) until $5, or as long as the old one was to live.
WITH old AS (
    SELECT * FROM api_keys WHERE id = $1 AND revoked_at IS NULL AND replaced_by IS NULL AND (expires_at IS NULL OR expires_at > now()) FOR UPDATE
), shortened AS (
    UPDATE api_keys SET expires_at = least(old.expires_at, $4), replaced_by = $2 FROM old WHERE api_keys.id = old.id
)
INSERT INTO api_keys (id, name, tenant, scopes, hash, expires_at, rate_limit, max_active_jobs)
SELECT $2, name, tenant, scopes, $3, coalesce($5, expires_at), rate_limit, max_active_jobs FROM old
RETURNING *

-- name: note_uses
UPDATE api_keys SET last_used_at = used.at
FROM unnest($1::uuid[], $2::timestamptz[]) AS used (id, at)
WHERE api_keys.id = used.id AND (last_used_at IS NULL OR last_used_at < used.at)
