"""The web application: its routes, how errors are answered, and what is wrapped around both."""

from typing import TYPE_CHECKING, cast

from litestar import Litestar
from litestar.di import Provide

from services.api.access import App, observed
from services.api.admin import admin_routes
from services.api.cancels import cancel_job
from services.api.context import Api
from services.api.door import admitted
from services.api.edits import edit_subtitles
from services.api.jobs import create_job, read_job, read_result, upload_job
from services.api.probes import healthz, metrics, readyz
from services.api.problems import HANDLERS
from services.api.schema import openapi_json, schema_page
from services.api.source_probe import probe_source
from services.api.uploads import sign_upload

if TYPE_CHECKING:
    from litestar.types import ControllerRouterHandler

JSON_LIMIT = 64 * 1024
"""Bytes of a request's body, but for uploads."""


def create_app(api: Api) -> App:
    jobs = [create_job, upload_job, read_job, read_result, cancel_job, edit_subtitles, sign_upload, probe_source]
    admin = [admin_routes(api.settings.admin_key)] if api.settings.admin_enabled and api.settings.admin_key else []
    public: list[ControllerRouterHandler] = [*jobs, *admin, healthz, readyz, openapi_json, schema_page]
    litestar = Litestar(
        [*public, metrics] if api.settings.metrics_on_api_port else public,
        dependencies={"api": Provide(lambda: api, sync_to_thread=False)},
        guards=[admitted],
        exception_handlers=HANDLERS,
        request_max_body_size=JSON_LIMIT,
        openapi_config=None,
        logging_config=None,
    )
    return observed(cast("App", litestar))
