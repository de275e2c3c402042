#!/bin/sh
# Prints a new .env for compose.yaml, with secrets of its own. Keep the file: the volumes know these passwords.
set -eu

secret() {
    od -An -N24 -tx1 /dev/urandom | tr -d ' \n'
}

cat <<END
POSTGRES_PASSWORD=$(secret)
NATS_PASSWORD=$(secret)
S3_ACCESS_KEY_ID=$(secret | cut -c1-20)
S3_SECRET_ACCESS_KEY=$(secret)
API_SECRET=$(secret)
GRAFANA_PASSWORD=$(secret)

# Take sources by URL too, of any public host.
ENABLE_YTDLP=false
# Ask for API keys: docs/access.md says how to make the first one.
ENABLE_API_KEYS=false
# local is English alone, by the model tiny.en; groq needs a key.
ASR_PROVIDER=local
GROQ_API_KEY=
END
