"""How far a job is: the stages that it needs, and each one's part of the whole. Pure."""

from functools import cache
from itertools import accumulate

from libs.common.domain.events import ClipsRequested, StageName

SHARE: dict[StageName, float] = {StageName.RESOLVER: 10, StageName.CLIPPER: 45, StageName.ASR: 20, StageName.BURNER: 25}
"""Each stage's part of the whole job's progress; only the stages a job needs are counted."""


def stages_of(requested: ClipsRequested) -> tuple[StageName, ...]:
    """The stages that have work to do for this request, in order."""
    return tuple(_parts(requested.with_subtitles, requested.burn_subtitles))


def progress_at(requested: ClipsRequested, stage: StageName, part: float) -> float | None:
    """The job's progress, 0 to 99, when `stage` has done `part` (0 to 1) of its work; None for a stage that the job does not need."""
    found = _parts(requested.with_subtitles, requested.burn_subtitles).get(stage)
    if found is None:
        return None
    before, own = found
    return min(99.0, before + own * min(max(part, 0.0), 1.0))


@cache
def _parts(with_subtitles: bool, burn_subtitles: bool) -> dict[StageName, tuple[float, float]]:  # noqa: FBT001  as they are in the request
    """Of each stage that has work to do: what of the whole is done before it, and what it does itself; in percent."""
    wanted = (True, True, with_subtitles, burn_subtitles)
    shares = {stage: SHARE[stage] for stage, want in zip(StageName, wanted, strict=True) if want}
    whole, done = sum(shares.values()), accumulate(shares.values(), initial=0.0)
    return {stage: (100.0 * before / whole, 100.0 * share / whole) for (stage, share), before in zip(shares.items(), done, strict=False)}
