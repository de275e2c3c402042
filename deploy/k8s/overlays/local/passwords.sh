# Sourced by the image of Postgres when the database is new, after roles.sql: each role gets its password of the Secret.
for who in migrations api resolver clipper asr janitor; do
  printf "ALTER ROLE clipstream_%s PASSWORD '%s';\n" "$who" "$(cat "/run/secrets/postgres/$who")"
done | psql --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" --set ON_ERROR_STOP=1 --quiet
