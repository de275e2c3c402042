"""The route that looks at a source without making a job: the looking is a resolver's, asked over NATS."""

import msgspec
from litestar import post
from litestar.params import RawBody

from libs.common.domain.failures import Code
from libs.common.domain.probing import SECONDS, SUBJECT, answer_of
from libs.common.runtime.request_reply import ask
from services.api.bodies import NewProbe
from services.api.caller import Scope, caller_of, correlation_of
from services.api.context import AnyRequest, Given
from services.api.openapi import Described
from services.api.openings import probe_request
from services.api.probe_views import ProbeAnswerView, probe_view
from services.api.requests import decoded
from services.api.sources import source_of
from services.api.upload_completion import usable_upload

PROBES = Described(
    summary="Look at a source without making a job",
    takes=NewProbe,
    gives=ProbeAnswerView,
    scope=Scope.WRITE,
    refuses=(
        *(Code.VALIDATION_FAILED, Code.CLIP_TOO_LONG, Code.BAD_REQUEST, Code.INPUT_TOO_LARGE),
        *(Code.SOURCE_FORBIDDEN, Code.SSRF_BLOCKED, Code.YTDLP_DISABLED),
        *(Code.STORAGE_UNAVAILABLE, Code.RETRYABLE_ERROR),
    ),
)
GRACE_SECONDS = 3.0
"""What a resolver that took all its time gets to say so."""


@post("/api/probe", status_code=200, described=PROBES)
async def probe_source(body: RawBody, api: Given, request: AnyRequest) -> ProbeAnswerView:
    """What the source holds, and whether a job on it would be taken on. A request that is itself wrong is refused as a job's is."""
    wish = decoded(NewProbe, body)
    source = source_of(wish, api.settings.fetching_rules)
    asked = probe_request(wish, source, api.limits)
    if source.upload_key:
        await usable_upload(api, caller_of(request), source.upload_key)
    correlation_id = correlation_of(request)
    said = await ask(api.nats, SUBJECT, msgspec.json.encode(asked), correlation_id=correlation_id, seconds=SECONDS + GRACE_SECONDS)
    return ProbeAnswerView(correlation_id=correlation_id, probe=probe_view(answer_of(said)))
