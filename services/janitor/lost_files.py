"""Files that a finished job names and S3 has no more: what makes them again, or what is true without them. Decides only."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Literal

from msgspec.structs import replace

from libs.common.domain.event_ids import answer_id, replay_id
from libs.common.domain.events import ClipUploaded, Envelope, JobFailed, JobReplayed, StageName
from libs.common.domain.failures import Code
from libs.common.domain.job import Job
from libs.common.domain.values import Notice

RESOLVER, CLIPPER, ASR, BURNER = StageName
BY = "janitor"
CLIP_LOST = "the clip was lost in the file store, and the upload that it was cut from is gone"
SEND_AGAIN = "Send the file again and create a new job."
FILES_LOST = Notice(
    "FILES_LOST", "Some files beside the clip were lost in the file store and can't be made again; the clip itself is whole."
)


@dataclass(frozen=True, slots=True)
class Remedy:
    """The job runs again, from `replayed.stage`; or its `answer` in that run says at once what is left of it."""

    replayed: JobReplayed
    answer: ClipUploaded | JobFailed | None = None

    @property
    def outcome(self) -> Literal["repaired", "lost"]:
        return "repaired" if self.answer is None else "lost"

    @property
    def words(self) -> str:
        """What is done about it, for the operator."""
        match self.answer:
            case None:
                return f"runs again from {self.replayed.stage}"
            case JobFailed():
                return "can't be made again: the job fails"
            case _:
                return "can't be made again: the job goes without them"


def files_of(job: Job) -> dict[StageName, tuple[str, ...]]:
    """The keys in the results bucket that the job's answer names, by the stage that made them."""
    clip, made, burned = job.clip, job.subtitles, job.burned
    named = {
        CLIPPER: (clip.video_key, clip.thumbnail_key, *(each.key for each in clip.renditions)) if clip else (),
        ASR: (made.srt_key, made.vtt_key, made.text_key, made.json_key) if made else (),
        BURNER: (burned.video_key,) if burned else (),
    }
    return {stage: tuple(key for key in keys if key) for stage, keys in named.items()}


def results_of(job: Job) -> tuple[str, ...]:
    """All of them."""
    return tuple(chain.from_iterable(files_of(job).values()))


def sources_of(job: Job) -> tuple[str, ...]:
    """The keys in the sources bucket that a new cut reads."""
    return (job.source.source_key, *(section.source_key for section in job.source.sections)) if job.source else ()


def remedy(job: Job, missing: Collection[str], *, has_source: bool) -> Remedy:
    """For a job that is done. `missing`: at least one of its files; `has_source`: whether S3 has all that a new cut reads."""
    lost = _lost_stages(job, missing)
    if CLIPPER not in lost or has_source:
        return Remedy(_replayed(job, lost))
    if job.clip and job.clip.video_key not in missing:
        return Remedy(_replayed(job, lost), _without(job.clip, missing))
    opened = _replayed(job, (RESOLVER, *lost))
    if job.requested and job.requested.source_url:
        return Remedy(opened)
    return Remedy(opened, JobFailed(stage=RESOLVER, code=Code.SOURCE_UNREADABLE, message=CLIP_LOST, hint=SEND_AGAIN))


def _lost_stages(job: Job, missing: Collection[str]) -> tuple[StageName, ...]:
    """In order. A burned clip shows its subtitles: where these are made again, it is too."""
    lost = {stage for stage, keys in files_of(job).items() if any(key in missing for key in keys)}
    if ASR in lost and job.burned:
        lost.add(BURNER)
    return tuple(stage for stage in StageName if stage in lost)


def _replayed(job: Job, lost: tuple[StageName, ...]) -> JobReplayed:
    return JobReplayed(stage=lost[0], by=BY, source=f"repair:{job.run + 1}", lost=lost)


def _without(clip: ClipUploaded, missing: Collection[str]) -> ClipUploaded:
    return replace(
        clip,
        thumbnail_key=None if clip.thumbnail_key in missing else clip.thumbnail_key,
        renditions=tuple(each for each in clip.renditions if each.key not in missing),
        warnings=(*clip.warnings, FILES_LOST),
    )


def envelopes(job: Job, chosen: Remedy, at: datetime) -> list[Envelope]:
    """The next run's opening, and behind it the answer where there is one already."""
    assert job.id  # noqa: S101  a job that is done has one
    run, answer = job.run + 1, chosen.answer
    opening = Envelope(
        id=replay_id(job.id, run),
        job_id=job.id,
        run=run,
        at=at,
        correlation_id=job.correlation_id,
        priority=job.priority,
        traceparent=job.traceparent,
        event=chosen.replayed,
    )
    if answer is None:
        return [opening]
    return [opening, opening.followed_by(answer, event_id=answer_id(job.id, chosen.replayed.stage, run), at=at)]
