-- What each service may do with each table; what is not here it may not. Run it as clipstream_migrations after every migration:
-- it takes all rights away and gives these, in one transaction, so that no service notices.
-- tests/deploy/test_grants.py holds this table to a matrix of its own: a new table needs a line in both.

BEGIN;

CREATE TEMPORARY TABLE granted (service text, relation text, rights text) ON COMMIT DROP;
INSERT INTO granted VALUES
    -- Every service tells what happened; nobody changes it, and only the janitor forgets.
    ('api',      'job_events',       'SELECT, INSERT'),
    ('resolver', 'job_events',       'SELECT, INSERT'),
    ('clipper',  'job_events',       'SELECT, INSERT'),
    ('asr',      'job_events',       'SELECT, INSERT'),
    ('janitor',  'job_events',       'SELECT, INSERT, DELETE'),
    -- Opened by what makes a job or runs one again (a stage, where the operator published by hand), closed by the janitor.
    ('api',      'job_index',        'SELECT, INSERT, UPDATE'),
    ('resolver', 'job_index',        'SELECT, INSERT, UPDATE (open)'),
    ('clipper',  'job_index',        'SELECT, INSERT, UPDATE (open)'),
    ('asr',      'job_index',        'SELECT, INSERT, UPDATE (open)'),
    ('janitor',  'job_index',        'SELECT, INSERT, UPDATE, DELETE'),
    -- What was fetched, and what was transcribed.
    ('resolver', 'source_fetches',   'SELECT, INSERT, UPDATE, DELETE'),
    ('asr',      'source_fetches',   'SELECT, INSERT, UPDATE, DELETE'),
    ('janitor',  'source_fetches',   'SELECT, DELETE'),
    -- The API's own; the janitor counts the open jobs in its lists.
    ('api',      'job_list',         'SELECT, INSERT, UPDATE, DELETE'),
    ('janitor',  'job_list',         'SELECT'),
    ('api',      'read_model_place', 'SELECT, INSERT, UPDATE, DELETE'),
    ('api',      'idempotency_keys', 'SELECT, INSERT, UPDATE, DELETE'),
    ('api',      'api_keys',         'SELECT, INSERT, UPDATE'),
    ('api',      'rate_windows',     'SELECT, INSERT, UPDATE, DELETE'),
    ('api',      'webhook_secrets',  'SELECT, INSERT, UPDATE, DELETE'),
    ('api',      'webhook_deliveries', 'SELECT, INSERT, UPDATE, DELETE'),
    -- Made and completed by the API, swept by the janitor.
    ('api',      'uploads',          'SELECT, INSERT, UPDATE, DELETE'),
    ('janitor',  'uploads',          'SELECT, DELETE'),
    -- Who does what only one process may do at a time.
    ('api',      'leases',           'SELECT, INSERT, UPDATE, DELETE'),
    ('janitor',  'leases',           'SELECT, INSERT, UPDATE, DELETE');

DO $$
DECLARE
    line record;
BEGIN
    FOR line IN SELECT DISTINCT service FROM granted LOOP
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA public FROM %I', 'clipstream_' || line.service);
    END LOOP;
    REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC;
    FOR line IN SELECT * FROM granted LOOP
        EXECUTE format('GRANT %s ON public.%I TO %I', line.rights, line.relation, 'clipstream_' || line.service);
    END LOOP;
END
$$;

COMMIT;
