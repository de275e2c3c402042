"""Run as a script in the environment of either version: what its own code makes of a history. Speaks JSON; knows nothing of tests.

In: a list of jobs, each a list of envelopes as they are stored. Out: of each job what its API would tell.
"""

import json
import sys

from libs.common.domain.events import decode, is_known
from libs.common.domain.job import fold


def told(history: list[str]) -> list[object]:
    job = fold(decode(envelope) for envelope in history if is_known(json.loads(envelope)["event"]["type"]))
    made = [one.video_key for one in (job.clip, job.burned) if one] + [job.subtitles.srt_key if job.subtitles else None]
    return [job.status, job.run, job.stage, made, [notice.code for notice in job.warnings], job.failure.code if job.failure else None]


if __name__ == "__main__":
    sys.stdout.write(json.dumps([told(history) for history in json.load(sys.stdin)]))
