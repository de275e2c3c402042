"""What the stages' handlers do in the simulation: wait, say how far they are, put their object, answer; or fail, as they are told."""

from collections.abc import Callable
from enum import Enum, auto
from functools import partial
from itertools import count
from typing import Any

from libs.common.domain.events import (
    CONSUMES,
    Answer,
    AsrDone,
    AsrFailed,
    BurnFailed,
    ClipBurned,
    ClipUploaded,
    Event,
    SourceReady,
    StageName,
    decode,
)
from libs.common.domain.failures import Code, Failure
from libs.common.runtime.context import Context
from libs.common.runtime.world import Stage
from tests.builders import burned, ready, transcribed, uploaded
from tests.runtime.simulation.gates import ACTOR, through_gate
from tests.runtime.simulation.ledger import FATAL, Ledger
from tests.runtime.simulation.stores import storage_away


class Outcome(Enum):
    """How a handler's work goes."""

    WELL = auto()
    PASSING = auto()
    LATER = auto()
    """The provider asks us to come back: no attempt of ours."""
    FATAL = auto()
    BUG = auto()
    POISON = auto()
    """It kills its process, each time."""


WORK = "work"
"""The gate at which a handler waits to hear how its work goes."""
_tokens = count(1)


def answer_of(stage: StageName, context: Context[Any, Any]) -> Answer:
    """Never twice the same, under keys that are always the same."""
    token, at = next(_tokens), f"{context.job_id}"
    match stage:
        case StageName.RESOLVER:
            return ready(source_key=f"sources/{at}/source.mp4", size=token)
        case StageName.CLIPPER:
            return uploaded(video_key=f"results/{at}/clip.mp4", size=token)
        case StageName.ASR:
            return transcribed(srt_key=f"results/{at}/clip.srt", cues=token)
        case StageName.BURNER:
            return burned(video_key=f"results/{at}/clip.subbed.mp4", size=token)


def key_of(answer: Answer) -> str:
    match answer:
        case SourceReady(source_key=key) | ClipUploaded(video_key=key) | ClipBurned(video_key=key) | AsrDone(srt_key=key):
            return key
        case _:
            raise AssertionError(answer)


class Handlers:
    def __init__(self, ledger: Ledger, outcome: Callable[[], Outcome]) -> None:
        self.ledger = ledger
        self.outcome = outcome
        self.calls = 0

    def stages(self) -> dict[StageName, Stage[Any]]:
        optional: dict[StageName, Any] = {StageName.ASR: AsrFailed, StageName.BURNER: BurnFailed}
        return {
            name: Stage(name=name, consumes=consumed, handle=partial(self.handle, name), optional=optional.get(name))
            for name, consumed in CONSUMES.items()
        }

    async def handle(self, stage: StageName, event: Event, context: Context[Any, Any]) -> Answer:
        actor = ACTOR.get()
        self.calls += 1
        actor.is_working = True
        self.ledger.handled(actor, stage, decode(actor.message.body), context.job.run)
        try:
            return await self.work(stage, context)
        except Exception:
            actor.has_erred = True
            raise
        except BaseException:
            actor.has_erred |= not actor.process.is_stopping
            raise
        finally:
            actor.is_working = False

    async def work(self, stage: StageName, context: Context[Any, Any]) -> Answer:
        await self.fail_as_told(stage, context)
        await context.progress(0.5)
        answer = answer_of(stage, context)
        bucket = context.objects.sources if stage is StageName.RESOLVER else context.objects.results
        await bucket.put(key_of(answer), b"x", "video/mp4")
        return answer

    async def fail_as_told(self, stage: StageName, context: Context[Any, Any]) -> None:
        actor = ACTOR.get()
        outcome: Outcome = await through_gate(WORK, None, self.outcome, storage_away)
        actor.is_excused = outcome is Outcome.LATER
        match outcome:
            case Outcome.PASSING:
                raise passing()
            case Outcome.LATER:
                raise passing(retry_after=7.0, charged=False)
            case Outcome.FATAL:
                self.ledger.fatal.add((context.job_id, stage))
                raise Failure(FATAL, "no video in it")
            case Outcome.BUG:
                raise ValueError("a bug")
            case Outcome.WELL | Outcome.POISON:
                return


def passing(**more: Any) -> Failure:
    return Failure(Code.RETRYABLE_ERROR, "not now", **more)
