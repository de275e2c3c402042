"""The route of a finished job's files, as signed URLs."""

from typing import Annotated
from uuid import UUID

from litestar import Response, get
from litestar.params import FromPath
from msgspec import UNSET, Meta, UnsetType

from libs.common.domain.failures import Code, Failure
from libs.common.domain.job import Job
from libs.common.domain.values import Preset, Rendition
from services.api.caller import Scope, correlation_of
from services.api.context import AnyRequest, Api, Given
from services.api.openapi import Described
from services.api.problems import ErrorAnswer, refusal
from services.api.stored_jobs import history_of, living
from services.api.views import View


class SignedFile(View, frozen=True, kw_only=True):
    key: str
    url: Annotated[str, Meta(description="Signed: whoever has it can read the file until it expires.")]


class Result(View, frozen=True, kw_only=True):
    id: UUID
    video: SignedFile
    burned_video: SignedFile | UnsetType = UNSET
    srt: SignedFile | UnsetType = UNSET
    vtt: SignedFile | UnsetType = UNSET
    text: SignedFile | UnsetType = UNSET
    json: Annotated[SignedFile | UnsetType, Meta(description="Cues and words with their times; can be edited and put back.")] = UNSET
    thumbnail: Annotated[SignedFile | UnsetType, Meta(description="A picture of the clip, as JPEG.")] = UNSET
    renditions: Annotated[dict[Preset, SignedFile] | UnsetType, Meta(description="By the preset that asked for it.")] = UNSET


class ResultAnswer(View, frozen=True, kw_only=True):
    correlation_id: str
    result: Result


URL_CODES = (Code.YTDLP_DISABLED, Code.SSRF_BLOCKED, Code.SOURCE_FORBIDDEN)
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


@get("/api/jobs/{job_id:str}/result", described=FETCHES)
async def read_result(job_id: FromPath[str], api: Given, request: AnyRequest) -> Response[ResultAnswer] | Response[ErrorAnswer]:
    """A job that failed answers with its own error and that error's status."""
    job = living(await history_of(api, request, job_id))
    match job.status:
        case "done":
            return Response(ResultAnswer(correlation_id=correlation_of(request), result=await _result(api, job)))
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
        thumbnail=await _signed(api, job.clip.thumbnail_key, f"{job.id}.jpg") if job.clip.thumbnail_key else UNSET,
        renditions={made.preset: await _rendition(api, job, made) for made in job.clip.renditions} or UNSET,
    )


async def _rendition(api: Api, job: Job, made: Rendition) -> SignedFile:
    """Named like the object, for a person who downloads it."""
    return await _signed(api, made.key, f"{job.id}{made.key.rpartition('/clip')[2]}")


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
