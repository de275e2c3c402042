"""The recogniser of the tests that do not look at the process itself: one with the model in memory, warm for the session."""

from collections.abc import AsyncIterator

import pytest

from services.asr.local import open_local
from services.asr.transcriber import Transcriber
from tests.asr.settings import asr_settings


@pytest.fixture(scope="session")
async def warm() -> AsyncIterator[Transcriber]:
    async with open_local(asr_settings(asr_beam=1)) as opened:
        yield opened
