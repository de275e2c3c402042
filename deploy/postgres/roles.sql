-- The roles of Clipstream in Postgres: one login for each service, and one that owns the schema and runs the migrations.
-- Run it as a superuser in Clipstream's database, before the first migration; it may run again at any time. Then grants.sql.
-- It sets no password: docs/security.md says how.

BEGIN;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'clipstream_migrations', 'clipstream_api', 'clipstream_resolver', 'clipstream_clipper', 'clipstream_asr', 'clipstream_janitor'
    ] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I', name);
        END IF;
        EXECUTE format('ALTER ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS', name);
    END LOOP;
END
$$;

-- Nobody is in the database who has no business there, and nobody makes tables in it but its owner.
DO $$
DECLARE
    service text;
    relation record;
BEGIN
    EXECUTE format('ALTER DATABASE %I OWNER TO clipstream_migrations', current_database());
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    ALTER SCHEMA public OWNER TO clipstream_migrations;
    REVOKE ALL ON SCHEMA public FROM PUBLIC;
    FOREACH service IN ARRAY ARRAY['clipstream_api', 'clipstream_resolver', 'clipstream_clipper', 'clipstream_asr', 'clipstream_janitor'] LOOP
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), service);
        EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', service);
    END LOOP;
    -- Of a database that was migrated by somebody else before.
    FOR relation IN SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm') LOOP
        EXECUTE format('ALTER TABLE public.%I OWNER TO clipstream_migrations', relation.relname);
    END LOOP;
END
$$;

COMMIT;
