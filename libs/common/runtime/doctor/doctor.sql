-- name: about
SELECT current_user::text AS role,
       current_setting('server_version_num')::int AS number,
       split_part(current_setting('server_version'), ' ', 1) AS version,
       extract(epoch FROM clock_timestamp())::float8 AS now,
       pg_is_in_recovery() AS is_replica,
       (SELECT setting::int FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout') AS idle_ms,
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS most,
       (SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend') AS used

-- name: migrations_readable
SELECT to_regclass('public.schema_migrations') IS NOT NULL AS there,
       coalesce(has_table_privilege(to_regclass('public.schema_migrations'), 'SELECT'), false) AS readable

-- name: migrations
SELECT version FROM public.schema_migrations

-- name: tables
SELECT relname::text AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')

-- name: held
SELECT c.relname::text AS name, v.verb, NOT has_table_privilege(c.oid, v.verb) AS in_part
FROM pg_class c
CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) AS v (verb)
WHERE c.relnamespace = 'public'::regnamespace
  AND c.relkind IN ('r', 'p')
  AND CASE WHEN v.verb IN ('SELECT', 'INSERT', 'UPDATE') THEN has_any_column_privilege(c.oid, v.verb) ELSE has_table_privilege(c.oid, v.verb) END
