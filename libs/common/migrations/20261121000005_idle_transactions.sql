-- migrate:up

-- A transaction that is left open holds back the event feed, which reads below the oldest one that is running:
-- end it after half a minute. Who doesn't own the database can't set this; the operator does then.
DO $$
BEGIN
    EXECUTE format('ALTER DATABASE %I SET idle_in_transaction_session_timeout = %L', current_database(), '30s');
EXCEPTION WHEN insufficient_privilege THEN
    RAISE WARNING 'not the owner of %: set idle_in_transaction_session_timeout to 30s there', current_database();
END
$$;

-- migrate:down

DO $$
BEGIN
    EXECUTE format('ALTER DATABASE %I RESET idle_in_transaction_session_timeout', current_database());
END
$$;
