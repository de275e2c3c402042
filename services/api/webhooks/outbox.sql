-- One statement; $1 … are the fields of Order in outbox.py. A job that ends twice in one run has ended once.
INSERT INTO webhook_deliveries (id, job_id, run, tenant, type, url, host, body, created_at, due_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
ON CONFLICT DO NOTHING
