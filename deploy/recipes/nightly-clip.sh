#!/bin/bash
# A clip of last night's recording: nightly-clip.sh RECORDING START END CLIP
# CLIPSTREAM_URL says where Clipstream is; CLIPSTREAM_KEY_FILE names a file with the line `X-API-Key: ck_…`, where keys are asked for.
# Run it as often as you like: what is there is not made again, and the same recording and range are one job for 24 hours.
set -euo pipefail
recording=$1 start=$2 end=$3 clip=$4
api=$CLIPSTREAM_URL/api/jobs
call=(curl --fail-with-body --silent --show-error --retry 5 ${CLIPSTREAM_KEY_FILE:+--header "@$CLIPSTREAM_KEY_FILE"})

[ -s "$clip" ] && exit 0
once=$(printf '%s\n' "$(sha256sum < "$recording")" "$start" "$end" | sha256sum | cut -c 1-64)
job=$("${call[@]}" "$api/upload" --header "Idempotency-Key: nightly-$once" --form "file=@\"$recording\"" --form "start=$start" --form "end=$end" | jq -r .job.id)

status=queued
until [[ $status =~ ^(done|failed|cancelled)$ ]]; do
  sleep 1
  status=$("${call[@]}" "$api/$job" | jq -r .job.status)
done
result=$("${call[@]}" "$api/$job/result") || { jq -r '.error | .message + ". " + .details.hint' <<< "$result" >&2; exit 1; }
curl --fail --silent --show-error --output "$clip.part" "$(jq -r .result.video.url <<< "$result")"
mv "$clip.part" "$clip"
