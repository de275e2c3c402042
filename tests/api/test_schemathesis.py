"""The running API keeps to its own OpenAPI document, whatever schemathesis thinks of; `make fuzz-api` sends it ten thousand cases."""

import pytest

from tests.api.conftest import Running, running
from tests.fuzz_api import WITH_KEYS, fuzzed, key_for
from tests.thorough import IS_THOROUGH

READ = ("GET /api/jobs", "GET /api/jobs/{job_id}", "GET /api/admin/dlq")
"""A list with filters, one with pages, and one thing of a list; the rest has its corners when thorough, and generated cases always."""
LOOKED_AT = ("--include-method", "GET") if IS_THOROUGH else [word for name in READ for word in ("--include-name", name)]
PHASES = {
    "generated and linked cases of every call": ("--phases", "examples,fuzzing,stateful"),
    "the corners of each field of what reads": ("--phases", "coverage", *LOOKED_AT),
}


@pytest.mark.parametrize("only", PHASES.values(), ids=PHASES)
async def test_no_answer_breaks_the_contract(api: Running, only: tuple[str, ...]) -> None:
    async with running(api.environ, **WITH_KEYS) as (http, to):
        outcome = await fuzzed(str(http.base_url), await key_for(to.pool), examples=2, seed=7, only=only)
    assert outcome.cases > 50
    assert outcome.is_clean, outcome.text
