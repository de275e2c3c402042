-- migrate:up

-- Transcripts are asked for once for all jobs too: a row may be ready with its result alone, without an object.
ALTER TABLE source_fetches
    DROP CONSTRAINT source_fetches_check1,
    ADD CONSTRAINT source_fetches_result CHECK ((state = 'ready') = (result IS NOT NULL)),
    ADD CONSTRAINT source_fetches_object CHECK (state = 'ready' OR object_key IS NULL);

-- migrate:down

DELETE FROM source_fetches WHERE state = 'ready' AND object_key IS NULL;
ALTER TABLE source_fetches
    DROP CONSTRAINT source_fetches_result,
    DROP CONSTRAINT source_fetches_object,
    ADD CONSTRAINT source_fetches_check1 CHECK ((state = 'ready') = (object_key IS NOT NULL AND result IS NOT NULL));
