-- migrate:up

-- What the operator's overview counts: the stage where a job is, or ended, and the code of what it lost. Rows that are older say
-- nothing of it, until their next event or `python -m services.api.rebuild_command`.
ALTER TABLE job_list ADD COLUMN stage text, ADD COLUMN error_code text;

-- migrate:down

ALTER TABLE job_list DROP COLUMN stage, DROP COLUMN error_code;
