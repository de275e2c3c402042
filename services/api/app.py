"""The web application: its routes, how errors are answered, and what is wrapped around both."""

from typing import TYPE_CHECKING

from litestar import Litestar, Response
from litestar.di import Provide
from litestar.routes import HTTPRoute

from services.api.access import App, Surroundings, observed
from services.api.admin import LETTER_ROUTES
from services.api.admin_keys import KEY_ROUTES
from services.api.cancels import cancel_job
from services.api.context import AnyRequest, Api
from services.api.deletions import delete_job
from services.api.direct import Direct
from services.api.edits import edit_subtitles
from services.api.job_events import follow_job
from services.api.job_list import list_jobs
from services.api.jobs import create_job, read_job, upload_job
from services.api.overview import read_overview
from services.api.probes import healthz, metrics, readyz
from services.api.problems import HANDLERS
from services.api.results import read_result
from services.api.retries import retry_job
from services.api.schema import asyncapi_json, openapi_json, schema_page
from services.api.source_probe import probe_source
from services.api.uploads import complete_upload, delete_upload, read_upload, sign_upload
from services.api.web_pages import web_routes
from services.api.webhooks.routes import WEBHOOK_ROUTES

if TYPE_CHECKING:
    from litestar.types import ControllerRouterHandler

JSON_LIMIT = 64 * 1024
"""Bytes of a request's body, but for uploads."""


def create_app(api: Api) -> App:
    """All that answers, as the server runs it."""
    return observed(Direct(routed(api), api), Surroundings(api.settings.cors, api.settings.proxies))


async def methods_told(request: AnyRequest) -> Response[None] | None:
    """What OPTIONS answers: the framework's own answer knows only the first of the handlers that share a path."""
    if request.method != "OPTIONS":
        return None
    path = request.scope["path_template"]
    found = next(route for route in request.app.routes if isinstance(route, HTTPRoute) and route.path_format == path)
    return Response(None, status_code=204, headers={"allow": ", ".join(sorted(found.methods))})


def routed(api: Api) -> Litestar:
    """The framework's part: the routes, the door before them, and how errors are answered."""
    jobs = [create_job, upload_job, list_jobs, read_job, follow_job, read_result, cancel_job, retry_job, delete_job, edit_subtitles]
    jobs += [sign_upload, read_upload, complete_upload, delete_upload, probe_source]
    admin = [*LETTER_ROUTES, *KEY_ROUTES, read_overview] if api.settings.admin_enabled else []
    public: list[ControllerRouterHandler] = [*jobs, *WEBHOOK_ROUTES, *admin, healthz, readyz, openapi_json, asyncapi_json, schema_page]
    public += web_routes(api.settings)
    return Litestar(
        [*public, metrics] if api.settings.metrics_on_api_port else public,
        dependencies={"api": Provide(lambda: api, sync_to_thread=False)},
        guards=[api.door.admitted],
        before_request=methods_told,
        exception_handlers=HANDLERS,
        request_max_body_size=JSON_LIMIT,
        openapi_config=None,
        logging_config=None,
    )
