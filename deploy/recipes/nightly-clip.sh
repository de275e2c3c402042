#!/bin/bash
# A clip of last night's recording: nightly-clip.sh RECORDING START END CLIP. Wants curl 7.76 or later and python3.
# CLIPSTREAM_URL says where Clipstream is; CLIPSTREAM_KEY_FILE names a file with the line `X-API-Key: ck_…`, where keys are asked for.
# Run it as often as you like: what is there is not made again, and the same recording and range are one job for 24 hours.
set -euo pipefail
recording=$1 start=$2 end=$3 clip=$4
api=$CLIPSTREAM_URL/api/jobs

field() { python3 -c 'import json, sys; value = json.load(sys.stdin)
for name in sys.argv[1].split("."): value = value[name]
print(value)' "$1" <<< "$answer"; }
call() {  # leaves the answer in $answer; where it is a refusal, says why and ends
  answer=$(curl --fail-with-body --silent --show-error --retry 5 ${CLIPSTREAM_KEY_FILE:+--header "@$CLIPSTREAM_KEY_FILE"} "$@") && return
  for what in message details.hint; do field "error.$what" 2> /dev/null || true; done >&2
  exit 1
}
digest() { if command -v sha256sum > /dev/null; then sha256sum; else shasum -a 256; fi | cut -c 1-64; }

[ -s "$clip" ] && exit 0
once=$(printf '%s\n' "$(digest < "$recording")" "$start" "$end" | digest)
call "$api/upload" --header "Idempotency-Key: nightly-$once" --form "file=@\"$recording\"" --form "start=$start" --form "end=$end"
job=$(field job.id)
until [[ $(field job.status) =~ ^(done|failed|cancelled)$ ]]; do
  sleep 1
  call "$api/$job"
done
call "$api/$job/result"
curl --fail --silent --show-error --output "$clip.part" "$(field result.video.url)"
mv "$clip.part" "$clip"
