"""Route of the operator's overview: queues, jobs, failures and dead letters in numbers."""

from datetime import UTC, datetime

from litestar import get

from services.api.caller import Scope, correlation_of
from services.api.context import AnyRequest, Given
from services.api.openapi import Described
from services.api.overview_views import OverviewAnswer

READS = Described(summary="The whole system in numbers", gives=OverviewAnswer, scope=Scope.ADMIN)


@get("/api/admin/overview", described=READS)
async def read_overview(api: Given, request: AnyRequest) -> OverviewAnswer:
    """Queues, jobs by status and stage, failures of the last 24 hours, dead letters; `unknown` names what nobody could be asked for."""
    return await api.overview.measured(datetime.now(UTC), correlation_of(request))
