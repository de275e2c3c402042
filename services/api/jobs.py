"""Routes of jobs: make one from an upload there or an upload here, read it, fetch its result."""

from uuid import uuid4

from litestar import Response, get, post
from litestar.params import FromPath, RawBody
from msgspec import UNSET

from libs.common.domain.events import ClipsRequested, Envelope, Priority, request_id
from libs.common.domain.failures import Code, Failure
from libs.common.domain.job import Job
from libs.common.domain.probing import Source
from services.api.bodies import NewJob, NewUpload
from services.api.caller import Scope
from services.api.context import AnyRequest, Api, Given
from services.api.openapi import Described
from services.api.openings import requested
from services.api.problems import ErrorAnswer, refusal
from services.api.requests import Refused, decoded, from_form
from services.api.sources import source_of
from services.api.stored_jobs import history_of, living
from services.api.upload import heard_out, received
from services.api.views import Accepted, JobAnswer, Result, ResultAnswer, SignedFile, accepted_job, job_view, last_events

JOB_CODES = (
    *(Code.VALIDATION_FAILED, Code.CLIP_TOO_LONG, Code.BAD_REQUEST, Code.INPUT_TOO_LARGE),
    *(Code.BACKPRESSURE, Code.STORAGE_UNAVAILABLE, Code.RETRYABLE_ERROR),
)
URL_CODES = (Code.YTDLP_DISABLED, Code.SSRF_BLOCKED, Code.SOURCE_FORBIDDEN)
CREATES = Described(summary="Create a job", takes=NewJob, gives=Accepted, location=True, scope=Scope.WRITE, refuses=(*JOB_CODES, *URL_CODES))
UPLOADS = Described(
    summary="Create a job and upload its file", takes=NewUpload, multipart=True, gives=Accepted, location=True, scope=Scope.WRITE, refuses=JOB_CODES
)
READS = Described(summary="Read a job's status and last events", gives=JobAnswer, scope=Scope.READ, refuses=(Code.NOT_FOUND, Code.GONE, Code.RETRYABLE_ERROR))
FETCHES = Described(
    summary="Get signed URLs of a finished job's files",
    gives=ResultAnswer,
    scope=Scope.READ,
    refuses=(
        *(Code.NOT_FOUND, Code.NOT_READY, Code.GONE, Code.INVALID_STATE, Code.RETRYABLE_ERROR),
        *(*URL_CODES, Code.INPUT_TOO_LARGE),
        *(Code.SOURCE_UNREADABLE, Code.RANGE_OUTSIDE_SOURCE, Code.OUTPUT_VERIFICATION_FAILED, Code.RETRIES_EXHAUSTED),
    ),
)


@post("/api/jobs", status_code=202, described=CREATES)
async def create_job(body: RawBody, api: Given, request: AnyRequest) -> Response[Accepted]:
    """Cut a range out of a file that was uploaded before, with the ticket of POST /api/uploads, or out of a video that has a URL."""
    job = decoded(NewJob, body)
    opening = requested(job, source_of(job, api.settings.fetching_rules), api.settings.limits, api.now())
    with api.pressure.admitted():
        if opening.upload_key:
            await _check_upload(api, opening.upload_key)
        return await _accepted(api, request, opening, job.priority)


async def _check_upload(api: Api, key: str) -> None:
    found = await api.objects.sources.head(key)
    if found is None:
        raise Refused("uploadKey", "there is no upload under this uploadKey (yet)")
    if found.size > api.settings.limits.largest:
        raise Refused("uploadKey", f"the upload is larger than {api.settings.max_input_mb} MiB", Code.INPUT_TOO_LARGE)


@post("/api/jobs/upload", status_code=202, request_max_body_size=None, described=UPLOADS)
async def upload_job(api: Given, request: AnyRequest) -> Response[Accepted]:
    """Send the file and the fields as one multipart form, in any order; the file is the part named `file`."""
    async with heard_out(request):  # better now than after a gigabyte
        api.pressure.check()
        await api.store.ping()
    async with received(request, api.objects.sources, api.settings.limits.largest) as upload:
        fields = from_form(upload.fields)
        opening = requested(fields, Source(source_type="upload", upload_key=upload.key), api.settings.limits, api.now())
    with api.pressure.counted():
        return await _accepted(api, request, opening, fields.priority)


async def _accepted(api: Api, request: AnyRequest, opening: ClipsRequested, priority: Priority) -> Response[Accepted]:
    job_id = uuid4()
    envelope = Envelope(
        id=request_id(job_id),
        job_id=job_id,
        at=api.now(),
        correlation_id=request.state.correlation_id,
        priority=priority,
        traceparent=request.state.traceparent,
        event=opening,
    )
    await api.intake.take(envelope)
    answer = Accepted(correlation_id=envelope.correlation_id, job=accepted_job(envelope, opening))
    return Response(answer, status_code=202, headers={"location": f"/api/jobs/{job_id}"})


@get("/api/jobs/{job_id:str}", described=READS)
async def read_job(job_id: FromPath[str], api: Given, request: AnyRequest) -> JobAnswer:
    """The job as the fold of its events so far."""
    history = await history_of(api, job_id)
    return JobAnswer(correlation_id=request.state.correlation_id, job=job_view(living(history)), events=last_events(history))


@get("/api/jobs/{job_id:str}/result", described=FETCHES)
async def read_result(job_id: FromPath[str], api: Given, request: AnyRequest) -> Response[ResultAnswer] | Response[ErrorAnswer]:
    """A job that failed answers with its own error and that error's status."""
    job = living(await history_of(api, job_id))
    match job.status:
        case "done":
            return Response(ResultAnswer(correlation_id=request.state.correlation_id, result=await _result(api, job)))
        case "failed" if job.error:
            return refusal(request, job.error, job_correlation_id=job.correlation_id)
        case "cancelled":
            raise Failure(Code.INVALID_STATE, "the job was cancelled; it has no result")
        case _:
            raise Failure(Code.NOT_READY, f"the job is {job.status}; its result is not there yet")


async def _result(api: Api, job: Job) -> Result:
    assert job.id  # noqa: S101  a job that is done has these two
    assert job.clip  # noqa: S101  the same
    return Result(
        id=job.id,
        video=await _signed(api, job.clip.video_key, f"{job.id}.mp4"),
        burned_video=await _signed(api, job.burned.video_key, f"{job.id}.subbed.mp4") if job.burned else UNSET,
        **await _subtitles(api, job),
    )


async def _subtitles(api: Api, job: Job) -> dict[str, SignedFile]:
    """By the result's field; jobs of an earlier version have SRT only."""
    made = job.subtitles
    if made is None:
        return {}
    keys = {"srt": (made.srt_key, "srt"), "vtt": (made.vtt_key, "vtt"), "text": (made.text_key, "txt"), "json": (made.json_key, "json")}
    return {name: await _signed(api, key, f"{job.id}.{extension}") for name, (key, extension) in keys.items() if key}


async def _signed(api: Api, key: str, filename: str) -> SignedFile:
    url = await api.objects.results.signed_get(key, ttl=api.settings.signed_url_ttl_sec, filename=filename)
    return SignedFile(key=key, url=url)
