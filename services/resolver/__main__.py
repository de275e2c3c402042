"""resolver: clips.requested -> source.ready."""

from libs.common.domain.events import ClipsRequested, StageName
from libs.common.runtime.service import run
from libs.common.runtime.stage import Stage
from services.resolver.handler import open_describer, resolve_source
from services.resolver.settings import ResolverSettings

STAGES = (Stage(name=StageName.RESOLVER, consumes=ClipsRequested, handle=resolve_source),)

if __name__ == "__main__":
    run(STAGES, ResolverSettings, opens=open_describer)
