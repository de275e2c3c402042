"""How far a job is: the stages that it needs, and each one's part of the whole. Pure."""

from libs.common.domain.events import ClipsRequested, StageName

SHARE: dict[StageName, float] = {StageName.RESOLVER: 10, StageName.CLIPPER: 45, StageName.ASR: 20, StageName.BURNER: 25}
"""Each stage's part of the whole job's progress; only the stages a job needs are counted."""


def stages_of(requested: ClipsRequested) -> tuple[StageName, ...]:
    """The stages that have work to do for this request, in order."""
    wanted = (True, True, requested.with_subtitles, requested.burn_subtitles)
    return tuple(stage for stage, want in zip(StageName, wanted, strict=True) if want)


def progress_at(requested: ClipsRequested, stage: StageName, part: float) -> float | None:
    """The job's progress, 0 to 99, when `stage` has done `part` (0 to 1) of its work; None for a stage that the job does not need."""
    stages = stages_of(requested)
    if stage not in stages:
        return None
    before = sum(SHARE[s] for s in stages[: stages.index(stage)])
    whole = sum(SHARE[s] for s in stages)
    return min(99.0, 100.0 * (before + SHARE[stage] * min(max(part, 0.0), 1.0)) / whole)
