-- migrate:up

-- Whether a job still needs an upload, asked for each old upload: two jobs may cut the same one.
CREATE INDEX job_events_upload ON job_events ((envelope -> 'event' ->> 'uploadKey')) WHERE type = 'clips.requested';

-- migrate:down

DROP INDEX job_events_upload;
