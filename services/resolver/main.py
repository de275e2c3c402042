"""resolver: clips.requested -> source.ready; and looks at sources that are no job's yet."""

from functools import partial

from libs.common.domain.events import ClipsRequested, StageName
from libs.common.runtime.confinement import make_unreadable
from libs.common.runtime.service import Connections, run
from libs.common.runtime.world import Stage
from services.resolver.handler import resolve_source
from services.resolver.look import look
from services.resolver.probing import Prober, serve_probes
from services.resolver.settings import ResolverSettings
from services.resolver.tools import Tools, open_tools

STAGES = (Stage(name=StageName.RESOLVER, consumes=ClipsRequested, handle=resolve_source),)


async def probes(settings: ResolverSettings, c: Connections, tools: Tools) -> None:
    look_at_url = partial(look, tools=tools, settings=settings)
    await serve_probes(Prober(settings=settings, bucket=c.objects.sources, describer=tools.describer, look_at_url=look_at_url), c)


def main() -> None:
    make_unreadable()
    run(STAGES, ResolverSettings, opens=open_tools, beside=probes)
