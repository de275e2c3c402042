-- Of one job's events: what its streams read. $1 … are named in event_streams.py.

-- name: behind
SELECT seq, type, envelope FROM job_events WHERE job_id = $1 AND seq > $2 ORDER BY seq LIMIT $3

-- name: last
SELECT coalesce(max(seq), 0) FROM job_events WHERE job_id = $1
