-- migrate:up

-- Lists by the kind of source, also of one that few of a tenant's jobs have: else all of them are looked through for it.
CREATE INDEX job_list_of_source ON job_list (tenant, source_type, created_at DESC, job_id DESC);

-- migrate:down

DROP INDEX job_list_of_source;
