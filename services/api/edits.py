"""The route that puts an edited transcript back: the job runs again from its subtitles on, without fetch, cut or transcription."""

import asyncio

from litestar import Response, put
from litestar.params import FromPath, RawBody
from msgspec.structs import replace

from libs.common.domain.causes import cause_for
from libs.common.domain.edits import edit_key, edit_source, encode_edit
from libs.common.domain.event_ids import replay_id
from libs.common.domain.events import Envelope, JobReplayed, StageName
from libs.common.domain.failures import Code, Failure
from libs.common.domain.job import Job, fold
from libs.common.domain.languages import UNDETERMINED
from services.api.caller import Caller, Scope, caller_of, correlation_of
from services.api.context import AnyRequest, Api, Given
from services.api.openapi import JSON, Described
from services.api.requests import MIB, Refused
from services.api.stored_jobs import history_of, living
from services.api.subtitle_files import from_file
from services.api.transcripts import GivenCue, NewTranscript, from_json, transcript
from services.api.views import JobAnswer, job_view, last_events

FILES = {"text/vtt": "vtt", "application/x-subrip": "srt"}
EDITS = Described(
    summary="Put an edited transcript back",
    takes=NewTranscript,
    takes_text=tuple(FILES),
    gives=JobAnswer,
    scope=Scope.WRITE,
    location=True,
    refuses=(
        *(Code.VALIDATION_FAILED, Code.BAD_REQUEST, Code.NOT_FOUND, Code.GONE, Code.INVALID_STATE, Code.INPUT_TOO_LARGE),
        *(Code.TOO_MANY_ACTIVE_JOBS, Code.BACKPRESSURE, Code.STORAGE_UNAVAILABLE, Code.RETRYABLE_ERROR),
    ),
)
MOST_BYTES = MIB
WAIT = "Wait until the job's status is done, then send the transcript again."


@put("/api/jobs/{job_id:str}/subtitles", status_code=202, request_max_body_size=MOST_BYTES, described=EDITS)
async def edit_subtitles(job_id: FromPath[str], body: RawBody, api: Given, request: AnyRequest) -> Response[JobAnswer]:
    """Its subtitles are made of this transcript, and burned in anew if the job asked for that. The same one twice is one edit."""
    history = await history_of(api, request, job_id)
    job = living(history)
    edit = await asyncio.to_thread(_transcript, job, body, request.headers.get("content-type", JSON))
    if not _is_made(job, edit_source(edit)):
        with api.pressure.admitted():
            history.append(await _put_back(api, caller_of(request), job, edit))
    answer = JobAnswer(correlation_id=correlation_of(request), job=job_view(fold(history)), events=last_events(history))
    return Response(answer, status_code=202, headers={"location": f"/api/jobs/{job.id}"})


def _transcript(job: Job, body: bytes, content_type: str) -> bytes:
    """As it is kept: cleaned, in the language that it names, or else in that of the subtitles so far."""
    if job.clip is None or job.requested is None or not job.requested.with_subtitles:
        raise _not_now(job)
    given, language = _cues(body, content_type.partition(";")[0].strip().lower())
    before = job.language or job.requested.subtitle_lang.replace("auto", UNDETERMINED)
    return encode_edit(transcript(given, seconds=job.clip.duration, language=language or before))


def _cues(body: bytes, media_type: str) -> tuple[list[GivenCue], str | None]:
    if media_type == JSON:
        return from_json(body)
    if media_type in FILES:
        return from_file(body, FILES[media_type]), None
    raise Refused(None, f"send the transcript as {JSON}, {' or '.join(FILES)}, and say which in content-type", Code.BAD_REQUEST)


def _is_made(job: Job, source: str) -> bool:
    """Whether the subtitles are, or are just being, made of this very transcript. One that failed is tried again."""
    return job.edit == source and job.status in {"processing", "done"} and not job.optional_failures


async def _put_back(api: Api, caller: Caller, job: Job, edit: bytes) -> Envelope:
    """The transcript first, then the fact, then the message: whatever is lost in between, a repeat or the reconciler makes up for."""
    cause = cause_for(job, StageName.ASR)
    if cause is None or job.expires_at is None or not job.is_editable:
        raise _not_now(job)
    source = edit_source(edit)
    await api.objects.results.put(edit_key(cause.job_id, source), edit, JSON)
    replayed = JobReplayed(stage=StageName.ASR, by="edit", source=source, client=caller.client)
    run = job.run + 1
    opening = replace(cause.followed_by(replayed, event_id=replay_id(cause.job_id, run), at=api.now()), run=run)
    stored = await api.intake.reopen(opening, replace(cause, run=run), expires_at=job.expires_at, cap=caller.max_active_jobs)
    if stored.event != replayed:
        raise Failure(Code.INVALID_STATE, "another edit of this job came first", hint=WAIT)
    return stored


def _not_now(job: Job) -> Failure:
    if job.requested and not job.requested.with_subtitles:
        return Failure(Code.INVALID_STATE, "the job did not ask for subtitles", hint="Create a job with withSubtitles.")
    return Failure(Code.INVALID_STATE, f"the job is {job.status}; a transcript can be put back when it is done", hint=WAIT)
