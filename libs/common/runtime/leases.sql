-- The leases' statements, each under its name. $1 … are named in leases.py. Time is the database's alone.

-- name: take
INSERT INTO leases (name, holder, expires_at) VALUES ($1, $2, now() + $3 * interval '1 second')
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at WHERE leases.expires_at <= now()
RETURNING true

-- name: renew
UPDATE leases SET expires_at = now() + $3 * interval '1 second' WHERE name = $1 AND holder = $2 RETURNING true

-- name: release
DELETE FROM leases WHERE name = $1 AND holder = $2
