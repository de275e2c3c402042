-- Of jobs' events: what their streams read. $1 … are named in event_streams.py.

-- name: behind
-- Of each job behind its number, at most so many.
SELECT place.job_id, place.after, e.seq, e.type, e.envelope FROM unnest($1::uuid[], $2::integer[]) AS place (job_id, after)
CROSS JOIN LATERAL (SELECT seq, type, envelope FROM job_events WHERE job_id = place.job_id AND seq > place.after ORDER BY seq LIMIT $3) e
ORDER BY place.job_id, e.seq

-- name: last
SELECT coalesce(max(seq), 0) FROM job_events WHERE job_id = $1
