"""The API: takes jobs in over HTTP and says how they stand."""

import uvloop

from libs.common.runtime.service import begin
from services.api.server import serve
from services.api.settings import ApiSettings


def main() -> None:
    uvloop.run(serve(begin("api", ApiSettings)))
