"""What the ways to run all five services share: their images, the programs beside them, and waiting for them."""

import asyncio
import sys
from pathlib import Path

import aiohttp

from tests.deploy import recipe
from tools.setup import read_stamp

WITH_A_MODEL = {"asr": "asr-tiny-en"}
IMAGES = {service: WITH_A_MODEL.get(service, service) for service in recipe.SERVICES}
OWN_PROGRAMS = {"ffmpeg": "FFMPEG_BIN", "ffprobe": "FFPROBE_BIN"}


def media_programs() -> dict[str, str]:
    """Where `make setup` took them from wheels, they are not on a container's PATH."""
    stamp = read_stamp(Path(sys.prefix))
    return {variable: stamp[name] for name, variable in OWN_PROGRAMS.items() if name in stamp}


async def until_ready(port: int, log: Path, *, path: str) -> None:
    async with aiohttp.ClientSession() as http:
        try:
            async with asyncio.timeout(60):
                while not await _answers(http, f"http://127.0.0.1:{port}{path}"):
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"not ready:\n{log.read_text()[-5000:]}") from None


async def _answers(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with http.get(url) as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False
