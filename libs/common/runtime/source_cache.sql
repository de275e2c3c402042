-- The source cache's statements, each under its name. $1 … are named in source_cache.py. Time is the database's alone.
-- A claim is lock, clear, covering and, when nothing covers it, begin: each its own statement, so that it sees what came before the lock.

-- name: lock
SELECT
    set_config('idle_in_transaction_session_timeout', '5s', true), -- a host that dies here holds up no one for long
    pg_advisory_xact_lock(hashtextextended(encode($1, 'hex'), 0))

-- name: clear
DELETE FROM source_fetches WHERE source = $1 AND state = 'fetching' AND expires_at <= now()

-- name: covering
SELECT id, state, section_start, section_end, object_key, result FROM source_fetches
WHERE source = $1 AND section_start <= $2 AND section_end >= $3 AND state <> 'failed' AND expires_at > now()
ORDER BY state = 'ready' DESC, expires_at DESC LIMIT 1

-- name: begin
INSERT INTO source_fetches (id, source, section_start, section_end, state, holder, expires_at)
VALUES ($1, $2, $3, $4, 'fetching', $5, now() + $6 * interval '1 second')

-- name: hold
UPDATE source_fetches SET expires_at = now() + $2 * interval '1 second' WHERE id = $1 AND state = 'fetching' RETURNING true

-- name: standing
SELECT state = 'fetching' AND expires_at > now() AS under_way, section_start, section_end, failure FROM source_fetches WHERE id = $1

-- name: finish
UPDATE source_fetches
SET state = 'ready', section_start = least(section_start, $2), section_end = greatest(section_end, $3),
    object_key = $4, result = $5, expires_at = now() + $6 * interval '1 second'
WHERE id = $1 AND state = 'fetching' RETURNING true

-- name: fail
UPDATE source_fetches SET state = 'failed', failure = $2, expires_at = now() WHERE id = $1 AND state = 'fetching'

-- name: release
DELETE FROM source_fetches WHERE id = $1 AND state = 'fetching'

-- name: forget
DELETE FROM source_fetches WHERE object_key = $1

-- name: expired
SELECT id, object_key FROM source_fetches WHERE expires_at < now() - $1 * interval '1 second' ORDER BY expires_at LIMIT $2

-- name: remove
DELETE FROM source_fetches WHERE id = ANY($1) AND expires_at < now()

-- name: named
SELECT object_key FROM source_fetches WHERE object_key = ANY($1)
