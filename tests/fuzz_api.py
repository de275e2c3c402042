"""Schemathesis against a running API, all phases: `python -m tests.fuzz_api [--cases 10000] [--seed 1]`, or `make fuzz-api`.

The API listens on a real socket, on servers of its own, with keys on; nobody works on what is ordered.
"""

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from libs.common.runtime import logs, streams
from libs.common.runtime.embedded import embedded_servers
from libs.common.runtime.postgres import Pool
from libs.common.runtime.settings import Secret
from services.api.caller import Scope
from services.api.key_store import KeyStore, KeyWish
from services.api.keys import Pepper
from tests.api.conftest import running
from tools.migrations import migrate

ROOT = Path(__file__).parent.parent
SECRET = "fuzzing-" * 4
WITH_KEYS = {"ENABLE_API_KEYS": "true", "ADMIN_ENABLED": "true", "API_SECRET": SECRET}
CONFIG = """
headers = { Authorization = "Bearer ${FUZZED_KEY}" }
hooks = "hooks.py"
seed = SEED
generation.max-examples = EXAMPLES
generation.database = "none"
request-timeout = 30.0
max-stream-events = 1
continue-on-failure = true
reports.json.path = "report.json"

# A schema can't say all that makes a request valid: which uploads there are, what goes with what, how much is taken.
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", 400, 401, 403, 404, 409, 410, 413, 422, 429]

# Nobody is there who would look at a source, or keep the letters.
[[operations]]
include-path-regex = "^/api/(probe|admin/dlq)"
checks.not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", 503]
checks.positive_data_acceptance.expected-statuses = ["2xx", "3xx", "4xx", 503]

# A stream whose job waits ends with the client's patience; HTTP lets a client send headers that nobody asked for.
[[operations]]
include-operation-id = "followJob"
request-timeout = 1.5
checks.negative_data_rejection.enabled = false
"""
"""The key comes by the environment, so that it is in no argv."""
HOOKS = """
import schemathesis

schemathesis.serializer.alias("application/x-subrip", "text/plain")
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run sent and found."""

    cases: int
    is_clean: bool
    text: str


async def fuzzed(url: str, key: Secret, *, examples: int, seed: int, only: tuple[str, ...] = ()) -> Outcome:
    """One run of all phases, with at most so many generated cases for each operation; `only` are options that leave some out."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "schemathesis.toml").write_text(CONFIG.replace("SEED", str(seed)).replace("EXAMPLES", str(examples)))
        (folder / "hooks.py").write_text(HOOKS)
        argv = (Path(sys.executable).with_name("schemathesis"), "run", f"{url}/schema/openapi.json", "--no-color", *only)
        environ = {"PATH": os.environ["PATH"], "PYTHONPATH": name, "FUZZED_KEY": key.reveal()}
        out, err = asyncio.subprocess.PIPE, asyncio.subprocess.STDOUT
        process = await asyncio.create_subprocess_exec(*argv, env=environ, stdout=out, stderr=err, cwd=folder)
        try:
            text, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        report = folder / "report.json"
        told = json.loads(report.read_text())["test_cases"]["generated"] if report.exists() else 0
        return Outcome(told, process.returncode == 0, text.decode())


async def key_for(pool: Pool) -> Secret:
    """One that may do everything."""
    credentials, _ = await KeyStore(pool, Pepper(Secret(SECRET))).create(KeyWish(name="fuzzer", scopes=frozenset(Scope), tenant="fuzzed"))
    return credentials.written


async def run(wanted: int, seed: int) -> bool:
    """Until so many cases were sent; False at the first run that found something."""
    with tempfile.TemporaryDirectory() as folder:
        async with embedded_servers(Path(folder), {}) as servers:
            await migrate(ROOT / "libs/common/migrations", {**os.environ, **servers.variables})
            async with running(servers.variables, **WITH_KEYS) as (http, to):
                await to.objects.ensure_buckets()
                await to.health.until_up()
                await streams.ensure(to.bus.js, replicas=1)
                return await _rounds(str(http.base_url), to.pool, wanted, seed)


async def _rounds(url: str, pool: Pool, wanted: int, seed: int) -> bool:
    sent = 0
    while sent < wanted:
        outcome = await fuzzed(url, await key_for(pool), examples=100, seed=seed)
        sent += outcome.cases
        sys.stdout.write("" if outcome.is_clean else outcome.text)
        sys.stdout.write(f"seed {seed}: {sent} of {wanted} cases{'' if outcome.is_clean else ', and not clean'}\n")
        sys.stdout.flush()
        if not outcome.is_clean:
            return False
        seed += 1
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=random.randrange(2**31))
    options = parser.parse_args()
    logs.set_up_logs("fuzz", "ERROR")
    return 0 if asyncio.run(run(options.cases, options.seed)) else 1


if __name__ == "__main__":
    sys.exit(main())
