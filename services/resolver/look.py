"""A look at a source by URL, for the probe: what the site says of it, and whether a job would be taken."""

from dataclasses import dataclass, field

from libs.common.domain.failures import Failure
from libs.common.domain.probing import Format, ProbeAnswer, refusal_of
from services.resolver.fetch import words
from services.resolver.fetch.words import Found, Keyframes, Said
from services.resolver.settings import ResolverSettings
from services.resolver.tools import Tools
from services.resolver.visit import visit


async def look(url: str, start: float | None, end: float | None, tools: Tools, settings: ResolverSettings) -> ProbeAnswer:
    """Raises Failure only where trying again can help; what a job would be refused for is part of the answer."""
    seen = _Seen()
    try:
        await visit(url, start or 0.0, end, None, seen.hear, guard=tools.guard, children=tools.children, settings=settings)
    except Failure as failure:
        if failure.retryable:
            raise
        return seen.answer(failure)
    return seen.answer(None)


@dataclass(slots=True)
class _Seen:
    found: Found | None = None
    formats: list[Format] = field(default_factory=list)
    keyframes: tuple[float, ...] = ()

    async def hear(self, said: Said) -> None:
        match said:
            case Found():
                self.found = said
            case Keyframes(times=times):
                self.keyframes = times
            case words.Format():
                self.formats.append(_offered(said))

    def answer(self, failure: Failure | None) -> ProbeAnswer:
        refusal = refusal_of(failure) if failure else None
        if self.found is None:
            return ProbeAnswer(refusal=refusal)
        return ProbeAnswer(
            duration=self.found.duration,
            size=self.found.size,
            title=self.found.title or None,
            section=self.found.is_section,
            formats=tuple(self.formats),
            keyframes=self.keyframes,
            refusal=refusal,
        )


def _offered(said: words.Format) -> Format:
    codecs = ",".join(codec for codec in (said.video, said.audio) if codec)
    return Format(id=said.id, container=said.extension or None, width=said.width, height=said.height, codecs=codecs or None, size=said.size)
