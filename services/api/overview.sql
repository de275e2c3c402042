-- What the operator's overview counts, over all tenants. Both read by an index of what is active or ended lately, never the table.

-- name: active
SELECT status, stage, count(*) AS jobs FROM job_list WHERE status IN ('queued', 'processing') GROUP BY status, stage

-- name: ended
SELECT status, error_code, count(*) AS jobs FROM job_list WHERE ended_at > now() - $1::interval GROUP BY status, error_code
