-- The event feed's statements, each under its name. $1 … are named in event_feed.py.

-- name: page
-- One statement, so one snapshot: what is below its xmin has committed or never will, and no row can appear there any more.
WITH horizon AS MATERIALIZED (SELECT pg_snapshot_xmin(pg_current_snapshot()) AS txid)
SELECT h.txid AS horizon, e.txid, e.position, e.seq, e.type, e.envelope, extract(epoch FROM clock_timestamp() - e.at)::float8 AS age,
       (SELECT extract(epoch FROM clock_timestamp() - w.at)::float8 FROM job_events w
        WHERE w.txid >= h.txid ORDER BY w.txid, w.position LIMIT 1) AS withheld
FROM horizon h LEFT JOIN LATERAL (
    SELECT * FROM job_events p
    WHERE (p.txid, p.position) > ($1::xid8, $2::bigint) AND p.txid < h.txid AND ($3::text[] IS NULL OR p.type = ANY($3))
    ORDER BY p.txid, p.position LIMIT $4
) e ON true

-- name: end
SELECT pg_snapshot_xmin(pg_current_snapshot())
