-- name: count_request
-- A window begins with a client's first request. One statement, so that replicas never count past each other.
INSERT INTO rate_windows AS present (client, ends_at, used)
VALUES ($1, now() + $2::interval, 1)
ON CONFLICT (client) DO UPDATE SET
    used = CASE WHEN present.ends_at > now() THEN present.used + 1 ELSE 1 END,
    ends_at = CASE WHEN present.ends_at > now() THEN present.ends_at ELSE now() + $2::interval END
RETURNING used, greatest(extract(epoch FROM ends_at - now()), 0)::float8 AS seconds

-- name: sweep_windows
DELETE FROM rate_windows WHERE ends_at < now()
