-- The read model's statements, each under its name. $1 … are named in read_model.py and job_opening.py.

-- name: lock
SELECT pg_advisory_xact_lock(hashtextextended('active jobs of ' || $1, 0))

-- name: active
SELECT job_id FROM job_list WHERE client = $1 AND status IN ('queued', 'processing')

-- name: open
-- The events that open jobs, and at once what the janitor's index and the lists know of them: whoever creates a job finds it there.
-- An upload whose row says that it is over is no source any more; one that is just being deleted is waited for, as it waits for this
-- (upload_rows.sql). SHARE, since a weaker lock would be content with the row as it was. What came with its job has no row.
WITH upload AS MATERIALIZED (
    SELECT expires_at FROM uploads WHERE key = $11 FOR SHARE
), given AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[], $5::timestamptz[]) AS g (event_id, job_id, at, envelope, expires_at)
    WHERE NOT EXISTS (SELECT FROM upload WHERE expires_at <= now())
), appended AS (
    INSERT INTO job_events (event_id, job_id, seq, type, at, envelope)
    SELECT event_id, job_id, 1, 'clips.requested', at, envelope::jsonb FROM given
    ON CONFLICT ON CONSTRAINT job_events_event_id_key DO NOTHING
    RETURNING job_id, at
), indexed AS (
    INSERT INTO job_index (job_id, expires_at) SELECT job_id, expires_at FROM given JOIN appended USING (job_id)
    ON CONFLICT (job_id) DO UPDATE SET open = true
), listed AS (
    INSERT INTO job_list (job_id, tenant, client, group_id, source_type, lane, status, created_at, seq)
    SELECT job_id, $6, $7, $8, $9, $10, 'queued', at, 1 FROM appended
    ON CONFLICT (job_id) DO NOTHING
)
SELECT EXISTS (SELECT FROM given)

-- name: reserve
UPDATE job_list SET status = 'processing', ended_at = NULL, client = $2 WHERE job_id = $1

-- name: histories
-- Of progress that follows progress only the last word counts: of a long job there are hundreds.
SELECT job_id, seq, type, envelope FROM (
    SELECT *, lead(type) OVER (PARTITION BY job_id ORDER BY seq) AS following FROM job_events WHERE job_id = ANY($1)
) e
WHERE type <> 'stage.progress' OR following IS DISTINCT FROM 'stage.progress' ORDER BY job_id, seq

-- name: hold
-- Rows are told by one at a time: what was read of a job before it expired must not be written after.
SELECT pg_advisory_xact_lock(hashtextextended('row of ' || job_id, 0)) FROM unnest($1::uuid[]) WITH ORDINALITY AS j (job_id, number) ORDER BY number

-- name: keep
-- Of many jobs at once. What a row says already is not written again: whoever created the job wrote that.
INSERT INTO job_list (job_id, tenant, client, group_id, source_type, lane, status, created_at, begun_at, ended_at, seq, stage, error_code)
SELECT * FROM unnest(
    $1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::smallint[], $7::text[],
    $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::integer[], $12::text[], $13::text[]
)
ON CONFLICT (job_id) DO UPDATE SET status = excluded.status, client = excluded.client, begun_at = excluded.begun_at, ended_at = excluded.ended_at, seq = excluded.seq,
    stage = excluded.stage, error_code = excluded.error_code
WHERE job_list.seq <= excluded.seq
  AND (job_list.status, job_list.client, job_list.begun_at, job_list.ended_at, job_list.seq, job_list.stage, job_list.error_code)
   IS DISTINCT FROM (excluded.status, excluded.client, excluded.begun_at, excluded.ended_at, excluded.seq, excluded.stage, excluded.error_code)

-- name: unlisted
SELECT job_id FROM unnest($1::uuid[]) AS opened (job_id) WHERE NOT EXISTS (SELECT FROM job_list l WHERE l.job_id = opened.job_id)

-- name: drop
WITH told AS (DELETE FROM webhook_deliveries WHERE job_id = ANY($1)) DELETE FROM job_list WHERE job_id = ANY($1)

-- name: place
SELECT txid, position FROM read_model_place

-- name: move
-- Only from where it was read: it may have been set back in between.
UPDATE read_model_place SET txid = $1, position = $2 WHERE (txid, position) = ($3, $4) RETURNING true

-- name: begin
INSERT INTO read_model_place (txid, position) VALUES ($1, $2) ON CONFLICT DO NOTHING

-- name: page
SELECT job_id, created_at FROM job_list
WHERE tenant = $1 AND (created_at, job_id) < ($2, $3)
  AND ($4::text IS NULL OR status = $4) AND ($5::text IS NULL OR source_type = $5) AND ($6::uuid IS NULL OR group_id = $6)
  AND ($7::timestamptz IS NULL OR created_at >= $7)
ORDER BY created_at DESC, job_id DESC LIMIT $8

-- name: ahead
SELECT count(*) FROM (
    SELECT FROM job_list WHERE status = 'queued' AND (lane, created_at, job_id) < ($1, $2, $3) LIMIT $4
) before

-- name: marks
-- Each $1th of the first $2 that wait, in their order.
SELECT lane, created_at, job_id FROM (
    SELECT lane, created_at, job_id, row_number() OVER (ORDER BY lane, created_at, job_id) AS number
    FROM job_list WHERE status = 'queued' ORDER BY lane, created_at, job_id LIMIT $2
) line
WHERE number % $1 = 0 ORDER BY number

-- name: pace
SELECT count(*) AS ended, extract(epoch FROM now() - min(ended_at))::float8 AS within,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM ended_at - begun_at))::float8 AS typical
FROM (
    SELECT begun_at, ended_at FROM job_list WHERE ended_at > now() - $1::interval ORDER BY ended_at DESC LIMIT $2
) recent

-- name: rebuild
WITH emptied AS (DELETE FROM job_list) UPDATE read_model_place SET txid = '0', position = 0
