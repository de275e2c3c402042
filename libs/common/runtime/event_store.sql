-- The event store's statements, each under its name. $1 … are named in event_store.py.

-- name: append
-- Of several jobs, each as its job's next. What is not told stood already, or another event took its number.
INSERT INTO job_events (event_id, job_id, seq, type, at, envelope)
SELECT g.event_id, g.job_id, (SELECT coalesce(max(seq), 0) + 1 FROM job_events e WHERE e.job_id = g.job_id), g.type, g.at, g.envelope::jsonb
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::text[]) AS g (event_id, job_id, type, at, envelope)
ORDER BY g.job_id
ON CONFLICT DO NOTHING
RETURNING event_id, seq

-- name: begin
-- The histories of several jobs, and behind each the start that its asker brought, if the last event is the one that it expects.
-- OFFSET 0: as a join it could be planned as a look at all jobs.
WITH asked AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::text[])
    WITH ORDINALITY AS g (job_id, after, event_id, at, envelope, place)
), told AS (
    SELECT g.place, e.seq, e.event_id, e.type, e.envelope, lead(e.seq) OVER (PARTITION BY g.place ORDER BY e.seq) IS NULL AS is_last
    FROM asked g CROSS JOIN LATERAL (SELECT * FROM job_events WHERE job_id = g.job_id OFFSET 0) e
), begun AS (
    INSERT INTO job_events (event_id, job_id, seq, type, at, envelope)
    SELECT g.event_id, g.job_id, t.seq + 1, 'stage.started', g.at, g.envelope::jsonb
    FROM asked g JOIN told t USING (place) WHERE t.is_last AND t.event_id = g.after
    ORDER BY g.job_id
    ON CONFLICT DO NOTHING
    RETURNING event_id, seq
)
SELECT place, seq, type, envelope FROM told
UNION ALL SELECT g.place, b.seq, 'stage.started', NULL FROM begun b JOIN asked g USING (event_id)
ORDER BY 1, 2

-- name: append_opening
WITH appended AS (
    INSERT INTO job_events (event_id, job_id, seq, type, at, envelope)
    SELECT $1, $2, coalesce(max(seq), 0) + 1, $3, $4, $5::jsonb FROM job_events WHERE job_id = $2
    ON CONFLICT ON CONSTRAINT job_events_event_id_key DO NOTHING
    RETURNING seq
), indexed AS (
    INSERT INTO job_index (job_id, expires_at) SELECT $2, $6 FROM appended
    ON CONFLICT (job_id) DO UPDATE SET open = true
)
SELECT seq FROM appended

-- name: append_expired
-- And the job's time is up, so that a janitor removes its files.
WITH appended AS (
    INSERT INTO job_events (event_id, job_id, seq, type, at, envelope)
    SELECT $1, $2, coalesce(max(seq), 0) + 1, $3, $4, $5::jsonb FROM job_events WHERE job_id = $2
    ON CONFLICT ON CONSTRAINT job_events_event_id_key DO NOTHING
    RETURNING seq
), hastened AS (
    UPDATE job_index SET expires_at = least(expires_at, $4) WHERE job_id = $2 AND EXISTS (SELECT FROM appended)
)
SELECT seq FROM appended

-- name: standing
SELECT seq, envelope FROM job_events WHERE event_id = $1

-- name: history
SELECT type, envelope FROM job_events WHERE job_id = $1 ORDER BY seq

-- name: silent
SELECT i.job_id FROM job_index i
CROSS JOIN LATERAL (SELECT e.at FROM job_events e WHERE e.job_id = i.job_id ORDER BY e.seq DESC LIMIT 1) last
WHERE i.open AND i.job_id > $1 AND last.at < $2
ORDER BY i.job_id LIMIT $3

-- name: unbegun
SELECT count(*) FROM (
    SELECT FROM job_index i
    CROSS JOIN LATERAL (SELECT e.type FROM job_events e WHERE e.job_id = i.job_id ORDER BY e.seq DESC LIMIT 1) last
    WHERE i.open AND last.type IN ('clips.requested', 'job.replayed') LIMIT $1
) waiting

-- name: close
UPDATE job_index SET open = false FROM unnest($1::uuid[], $2::uuid[]) AS seen (job_id, event_id)
WHERE job_index.job_id = seen.job_id
    AND seen.event_id = (SELECT e.event_id FROM job_events e WHERE e.job_id = seen.job_id ORDER BY e.seq DESC LIMIT 1)

-- name: expired
-- Of progress that follows progress only the last word counts: of a long job there are hundreds.
SELECT i.job_id, e.seq, e.type, e.envelope
FROM (SELECT job_id, expires_at FROM job_index WHERE expires_at < $1 ORDER BY expires_at LIMIT $2) i
LEFT JOIN LATERAL (
    SELECT seq, type, envelope, lead(type) OVER (ORDER BY seq) AS following FROM job_events WHERE job_id = i.job_id
) e ON e.type <> 'stage.progress' OR e.following IS DISTINCT FROM 'stage.progress'
ORDER BY i.expires_at, i.job_id, e.seq

-- name: overdue
SELECT count(*) FROM job_index WHERE expires_at < $1

-- name: expire
-- Each as its job's very next event: where the job went on since it was read, another event has that number.
INSERT INTO job_events (event_id, job_id, seq, type, at, envelope)
SELECT event_id, job_id, seq, 'job.expired', at, envelope::jsonb
FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::timestamptz[], $5::text[]) AS g (event_id, job_id, seq, at, envelope)
ORDER BY job_id
ON CONFLICT DO NOTHING
RETURNING job_id

-- name: lock
-- Before what follows in the same transaction, so that it sees what came before the lock: a replay, a deletion.
-- In the order of ids: so no two of these wait for each other.
SELECT FROM job_index WHERE job_id = ANY($1) ORDER BY job_id FOR UPDATE

-- name: put_off
UPDATE job_index SET expires_at = g.until FROM unnest($1::uuid[], $2::timestamptz[]) AS g (job_id, until)
WHERE job_index.job_id = g.job_id AND job_index.expires_at < g.until
    AND NOT ($3 AND (SELECT true FROM job_events e WHERE e.job_id = g.job_id AND e.type = 'job.expired' LIMIT 1) IS NOT NULL)

-- name: forget
WITH over AS (
    SELECT DISTINCT job_id FROM job_events WHERE job_id = ANY($1) AND type = 'job.expired'
), gone AS (
    DELETE FROM job_events USING over WHERE job_events.job_id = over.job_id AND type <> 'job.expired'
)
UPDATE job_index SET open = false, expires_at = $2 FROM over WHERE job_index.job_id = over.job_id

-- name: purge
WITH unheard AS (
    SELECT job_id FROM unnest($1::uuid[], $2::int[]) AS g (job_id, seq)
    WHERE NOT EXISTS (SELECT FROM job_events e WHERE e.job_id = g.job_id AND e.seq > g.seq)
), gone AS (
    DELETE FROM job_events USING unheard WHERE job_events.job_id = unheard.job_id
)
DELETE FROM job_index USING unheard WHERE job_index.job_id = unheard.job_id

-- name: needed_uploads
-- A subquery of its own for each key: as a join it could be planned as a look at all jobs.
SELECT key FROM unnest($1::text[]) AS g (key)
WHERE (SELECT true FROM job_events WHERE type = 'clips.requested' AND envelope -> 'event' ->> 'uploadKey' = g.key LIMIT 1)
    OR (SELECT true FROM uploads WHERE uploads.key = g.key AND expires_at > now())
