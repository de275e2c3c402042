-- What queues.py asks of the jobs that are not over: the lists' rows know which, and their events since when each one runs.

-- name: measured
SELECT count(*) AS jobs, coalesce(max(extract(epoch FROM clock_timestamp() - run.began)), 0)::float8 AS oldest
FROM job_list j
CROSS JOIN LATERAL (
    SELECT max(e.at) AS began FROM job_events e WHERE e.job_id = j.job_id AND e.type IN ('clips.requested', 'job.replayed')
) run
WHERE j.status IN ('queued', 'processing')
