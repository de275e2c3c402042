#!/bin/sh
# Prints the Secrets of the overlay `local` with new passwords: sh secrets.sh | kubectl create -f -
# Run it once: a database keeps the passwords that it began with.
set -eu

secret() { # secret NAME KEY=VALUE...
  printf 'apiVersion: v1\nkind: Secret\nmetadata: {name: %s, namespace: clipstream}\nstringData:\n' "$1"
  shift
  for pair in "$@"; do printf "  %s: '%s'\n" "${pair%%=*}" "${pair#*=}"; done
  printf -- '---\n'
}

new() { openssl rand -hex 24; }

key=$(new) && access=$(new)
s3="S3_ACCESS_KEY_ID=$key S3_SECRET_ACCESS_KEY=$access"
nats=NATS_URL=nats://nats:4222
set -- "superuser=$(new)"
for who in migrations api resolver clipper asr janitor; do
  password=$(new)
  set -- "$@" "$who=$password"
  url="DATABASE_URL=postgresql://clipstream_$who:$password@postgres:5432/clipstream"
  case $who in
    # shellcheck disable=SC2086 # $s3 is two words
    migrations) secret clipstream-migrate "DATABASE_URL=postgresql://clipstream_migrations@postgres:5432/clipstream?sslmode=disable" "PGPASSWORD=$password" ;;
    api) secret clipstream-api "$url" "$nats" $s3 "API_SECRET=$(new)" ;;
    *) secret "clipstream-$who" "$url" "$nats" $s3 ;;
  esac
done
secret postgres "$@"
# shellcheck disable=SC2086
secret clipstream-bootstrap "$nats" $s3
# rclone reads it as a line of CSV, hence the quotes within.
secret s3 "RCLONE_AUTH_KEY=\"$key,$access\""
