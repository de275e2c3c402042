"""What a client is told of a source that was looked at."""

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from libs.common.domain.probing import Format, ProbeAnswer
from libs.common.domain.values import AudioTrack, VideoTrack
from services.api.views import JobError, View, job_error, known


class ProbeView(View, frozen=True, kw_only=True):
    accepted: Annotated[bool, Meta(description="Whether a job on this source, with this range if one was named, would be taken on.")]
    refusal: Annotated[JobError | UnsetType, Meta(description="What the job would fail with.")] = UNSET
    title: str | UnsetType = UNSET
    duration: Annotated[float | UnsetType, Meta(description="Seconds.")] = UNSET
    size: Annotated[int | UnsetType, Meta(description="Bytes of the whole source.")] = UNSET
    container: Annotated[
        str | UnsetType, Meta(description="The format, by ffmpeg's name: mov (MP4 too), matroska (WebM too), mpegts …")
    ] = UNSET
    video: VideoTrack | UnsetType = UNSET
    audio: AudioTrack | UnsetType = UNSET
    formats: Annotated[tuple[Format, ...] | UnsetType, Meta(description="What the site offers; the operator's settings choose.")] = UNSET
    keyframes: Annotated[
        tuple[float, ...] | UnsetType,
        Meta(description="Seconds of the keyframes near start and end: a fast cut begins at the last before start."),
    ] = UNSET
    section: Annotated[bool, Meta(description="Only the part that is asked for would be fetched, not the whole source.")]


class ProbeAnswerView(View, frozen=True, kw_only=True):
    correlation_id: str
    probe: ProbeView


def probe_view(found: ProbeAnswer) -> ProbeView:
    refusal = found.refusal.failure if found.refusal else None
    return ProbeView(
        accepted=refusal is None,
        refusal=job_error(refusal) if refusal else UNSET,
        title=found.title or UNSET,
        duration=known(found.duration),
        size=known(found.size),
        container=found.container or UNSET,
        video=found.video or UNSET,
        audio=found.audio or UNSET,
        formats=found.formats or UNSET,
        keyframes=found.keyframes or UNSET,
        section=found.section,
    )
