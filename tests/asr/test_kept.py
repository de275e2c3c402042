"""A transcript is paid for once: on two replicas with a pool each, on the real Postgres, by the fake Groq's count of requests."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.source_cache import Fetched, open_source_cache
from services.asr.breaker import Guarded
from services.asr.fallback import FallingBack
from services.asr.groq import open_groq
from services.asr.kept import Kept, as_told, identity
from services.asr.metrics import ASR_AUDIO_SECONDS, ASR_REUSED
from services.asr.patience import Patient
from services.asr.settings import AsrSettings
from services.asr.suspecting import Suspecting
from services.asr.transcriber import Audio, Transcriber
from services.asr.transcript import Transcript
from services.asr.wish import Wish
from tests.asr.fake_groq import FakeGroq, fake_groq
from tests.asr.settings import asr_settings
from tests.asr.sounds import tone
from tests.runtime.fetching import Watched
from tests.thorough import IS_THOROUGH

REPLICAS = 2
MANY = 100 if IS_THOROUGH else 20
ANY = Wish()


@pytest.fixture
async def groq() -> AsyncIterator[FakeGroq]:
    async with fake_groq() as server:
        yield server


@pytest.fixture
async def caches(servers: dict[str, str]) -> AsyncIterator[list[Watched]]:
    waiting = asyncio.Semaphore(0)
    async with AsyncExitStack() as stack:
        opened = [open_source_cache(servers["DATABASE_URL"], holder=f"replica {n}") for n in range(REPLICAS)]
        yield [Watched(await stack.enter_async_context(cache), waiting) for cache in opened]


@pytest.fixture
async def replicas(groq: FakeGroq, caches: list[Watched]) -> AsyncIterator[list[Kept]]:
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(open_groq(settings_for(groq))) for _ in caches]
        yield [Kept(transcriber, cache, 60) for transcriber, cache in zip(opened, caches, strict=True)]


def settings_for(groq: FakeGroq, **variables: object) -> AsrSettings:
    return asr_settings(asr_provider="groq", groq_api_key="k", asr_base_url=groq.url, **variables)


def a_sound(folder: Path) -> Audio:
    """One that no other test has; the fake doesn't listen to it."""
    path = folder / f"{uuid4()}.flac"
    path.write_bytes(b"fLaC" + uuid4().bytes)
    return Audio(path, 0.5)


def asking(replicas: Sequence[Transcriber], audio: Audio, wish: Wish = ANY, askers: int = 20) -> list[asyncio.Task[Transcript]]:
    return [asyncio.create_task(replicas[n % len(replicas)].transcribe(audio, wish)) for n in range(askers)]


async def outcomes(askers: Sequence[asyncio.Task[Transcript]]) -> list[Transcript | BaseException]:
    async with asyncio.timeout(60):
        return await asyncio.gather(*askers, return_exceptions=True)


async def test_twenty_askers_on_two_replicas_pay_once(replicas: list[Kept], caches: list[Watched], groq: FakeGroq, tmp_path: Path):
    answered = asyncio.Event()
    groq.says(waits=answered)
    reused, paid = ASR_REUSED.labels("groq")._value.get(), ASR_AUDIO_SECONDS.labels("groq")._value.get()
    askers = asking(replicas, a_sound(tmp_path))
    await caches[0].until_waiting(19)
    answered.set()
    transcripts = await outcomes(askers)
    assert len(groq.requests) == 1
    assert sorted(transcript.reused for transcript in transcripts) == [False] + [True] * 19
    assert {" ".join(word.text for word in transcript.words) for transcript in transcripts} == {"Hello there. Good bye."}
    assert ASR_REUSED.labels("groq")._value.get() == reused + 19
    assert ASR_AUDIO_SECONDS.labels("groq")._value.get() == paid + 0.5


async def test_many_sounds_twice_cause_no_second_call(replicas: list[Kept], groq: FakeGroq, tmp_path: Path):
    sounds = [a_sound(tmp_path) for _ in range(MANY)]
    first = [await replicas[n % REPLICAS].transcribe(audio, Wish("en")) for n, audio in enumerate(sounds)]
    again = [await replicas[(n + 1) % REPLICAS].transcribe(audio, Wish("en")) for n, audio in enumerate(sounds)]
    assert len(groq.requests) == MANY
    assert [transcript.words for transcript in first] == [transcript.words for transcript in again]
    assert {transcript.reused for transcript in again} == {True}


async def test_another_wish_and_another_model_are_asked_for(groq: FakeGroq, caches: list[Watched], tmp_path: Path):
    audio = a_sound(tmp_path)
    for model in ("whisper-large-v3", "whisper-large-v3-turbo"):
        async with open_groq(settings_for(groq, groq_model=model)) as transcriber:
            kept = Kept(transcriber, caches[0], 60)
            for wish in (Wish(), Wish("en"), Wish("en", prompt="Beckett"), Wish("en", prompt=" Beckett ")):
                assert (await kept.transcribe(audio, wish)).model == model
    assert len(groq.requests) == 6


async def test_a_translation_is_not_taken_for_a_transcript(groq: FakeGroq, caches: list[Watched], tmp_path: Path):
    async with open_groq(settings_for(groq, groq_model="whisper-large-v3")) as transcriber:
        kept, audio = Kept(transcriber, caches[0], 60), a_sound(tmp_path)
        await kept.transcribe(audio, Wish("fr"))
        await kept.transcribe(audio, Wish("fr", task="translate"))
    assert [request.path.rpartition("/")[2] for request in groq.requests] == ["transcriptions", "translations"]


async def test_a_transcript_whose_time_is_up_is_asked_for_again(groq: FakeGroq, caches: list[Watched], tmp_path: Path):
    audio = a_sound(tmp_path)
    async with open_groq(settings_for(groq)) as transcriber:
        for _ in range(2):
            await Kept(transcriber, caches[0], 0).transcribe(audio, Wish())
    assert len(groq.requests) == 2


async def test_words_that_are_no_text_are_kept_all_the_same(replicas: list[Kept], groq: FakeGroq, tmp_path: Path):
    audio = a_sound(tmp_path)
    groq.says(body=rb'{"text": "half \ud800 pair \u0000", "words": []}')
    first, again = [await replica.transcribe(audio, Wish()) for replica in replicas]
    assert [word.text for word in again.words] == [word.text for word in first.words] == ["half", "?", "pair", "\0"]


async def test_a_provider_in_trouble_costs_only_the_asker_an_attempt(
    replicas: list[Kept], caches: list[Watched], groq: FakeGroq, tmp_path: Path
):
    answered = asyncio.Event()
    groq.says(500, {"error": {}}, waits=answered)
    askers = asking(replicas, a_sound(tmp_path))
    await caches[0].until_waiting(19)
    answered.set()
    told = await outcomes(askers)
    assert len(groq.requests) == 1
    assert {(failure.code, failure.message) for failure in told} == {(Code.RETRYABLE_ERROR, "the transcription provider has trouble")}
    assert sorted(failure.charged for failure in told) == [False] * 19 + [True]


async def test_a_key_that_one_replica_has_wrong_is_not_the_others_failure(
    replicas: list[Kept], caches: list[Watched], groq: FakeGroq, tmp_path: Path
):
    answered = asyncio.Event()
    groq.says(401, {"error": {}}, waits=answered)
    askers = asking(replicas, a_sound(tmp_path), askers=6)
    await caches[0].until_waiting(5)
    answered.set()
    told = await outcomes(askers)
    assert sorted(type(each).__name__ for each in told) == ["Failure"] + ["Transcript"] * 5
    assert len(groq.requests) == 2


async def test_bad_audio_is_bad_for_all_who_ask(replicas: list[Kept], caches: list[Watched], groq: FakeGroq, tmp_path: Path):
    answered = asyncio.Event()
    groq.says(400, {"error": {}}, waits=answered)
    askers = asking(replicas, a_sound(tmp_path), askers=6)
    await caches[0].until_waiting(5)
    answered.set()
    assert [failure.code for failure in await outcomes(askers)] == [Code.SOURCE_UNREADABLE] * 6
    assert len(groq.requests) == 1


async def test_an_asker_that_is_cancelled_leaves_the_call_to_another(
    replicas: list[Kept], caches: list[Watched], groq: FakeGroq, tmp_path: Path
):
    groq.says(hangs=True)
    audio = a_sound(tmp_path)
    (first,) = asking(replicas, audio, askers=1)
    await groq.asked.wait()
    others = asking(replicas, audio, askers=4)
    await caches[0].until_waiting(4)
    first.cancel()
    transcripts = await outcomes(others)
    assert sorted(transcript.reused for transcript in transcripts) == [False, True, True, True]
    assert len(groq.requests) == 2


class Forgetful(Watched):
    """A cache whose database goes away while the provider works."""

    async def finish(self, fetch_id: UUID, fetched: Fetched, ttl: float) -> bool:
        raise Failure(Code.RETRYABLE_ERROR, "the database can't be reached", outage="postgres")


async def test_what_is_paid_for_is_used_though_it_can_not_be_kept(groq: FakeGroq, caches: list[Watched], tmp_path: Path):
    async with open_groq(settings_for(groq)) as transcriber:
        transcript = await Kept(transcriber, Forgetful(caches[0]), 60).transcribe(a_sound(tmp_path), Wish())
    assert transcript.words
    assert not transcript.reused


async def test_the_local_models_words_are_kept_as_its_own_and_the_better_ones_asked_for_later(
    groq: FakeGroq, warm: Transcriber, caches: list[Watched], tmp_path: Path
):
    audio = tone(tmp_path, hertz=301)
    groq.says(503, {"error": {}})
    async with open_groq(settings_for(groq)) as first:
        guarded = Guarded(first, warm, 30)
        transcriber = FallingBack(Kept(guarded, caches[0], 60), Kept(warm, caches[0], 60), 30)
        told = [await transcriber.transcribe(audio, Wish("en")) for _ in range(2)]
        guarded.breaker.rests_until = 0
        later = [await transcriber.transcribe(audio, Wish("en")) for _ in range(2)]
    assert [(each.provider, each.fell_back, each.reused) for each in told] == [("local", True, False), ("local", True, True)]
    assert [(each.provider, each.fell_back, each.reused) for each in later] == [("groq", False, False), ("groq", False, True)]


async def test_twenty_askers_of_a_provider_that_is_down_share_one_call_of_each(
    groq: FakeGroq, warm: Transcriber, caches: list[Watched], tmp_path: Path
):
    audio, answered = tone(tmp_path, hertz=303), asyncio.Event()
    groq.says(503, {"error": {}}, waits=answered)
    async with open_groq(settings_for(groq)) as first:
        replicas = [FallingBack(Kept(Guarded(first, warm, 30), cache, 60), Kept(warm, cache, 60), 30) for cache in caches]
        askers = asking(replicas, audio, Wish("en"))
        await caches[0].until_waiting(19)
        answered.set()
        told = await outcomes(askers)
    assert len(groq.requests) == 1
    assert {(each.provider, each.fell_back) for each in told} == {("local", True)}
    assert sum(not each.reused for each in told) == 1


async def test_what_is_kept_is_found_though_the_provider_is_resting(
    groq: FakeGroq, warm: Transcriber, caches: list[Watched], tmp_path: Path
):
    known, unknown = a_sound(tmp_path), tone(tmp_path, hertz=302)
    async with open_groq(settings_for(groq)) as first:
        transcriber = FallingBack(Kept(Guarded(first, warm, 30), caches[0], 60), Kept(warm, caches[0], 60), 30)
        await transcriber.transcribe(known, Wish("en"))
        groq.says(503, {"error": {}})
        assert (await transcriber.transcribe(unknown, Wish("en"))).provider == "local"
        assert (await transcriber.transcribe(known, Wish("en"))).provider == "groq"


async def test_what_is_kept_says_nothing_of_the_provider(groq: FakeGroq, caches: list[Watched], tmp_path: Path):
    """Neither that it is back, nor that the sound which it refused is to blame."""
    known, refused = a_sound(tmp_path), a_sound(tmp_path)
    async with open_groq(settings_for(groq)) as inner:
        suspecting = Suspecting(Kept(inner, caches[0], 60), inner.reach)
        patient = Patient(suspecting, inner.reach)
        await patient.transcribe(known, ANY)
        groq.says(503, {"error": {}})
        (failed,) = await outcomes([asyncio.create_task(patient.transcribe(refused, ANY))])
        assert (await patient.transcribe(known, ANY)).reused
    assert patient.away is failed
    assert [row.is_witnessed for row in suspecting.suspicion.rows.values()] == [False]


def test_no_part_of_what_decides_a_transcript_is_taken_for_another():
    sound = bytes(32)
    keys = [
        identity(sound, "groq", "m", Wish("en")),
        identity(bytes(31) + b"1", "groq", "m", Wish("en")),
        identity(sound, "local", "m", Wish("en")),
        identity(sound, "groq", "n", Wish("en")),
        identity(sound, "groq", "m", Wish("de")),
        identity(sound, "groq", "m", Wish("en", prompt="x")),
        identity(sound, "groq", "m", Wish("en", task="translate")),
        identity(sound, "groq", "men", Wish("")),
    ]
    assert len({*keys}) == len(keys)
    assert {len(key) for key in keys} == {32}


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (Failure(Code.RETRYABLE_ERROR, "down", retry_after=20), (Code.RETRYABLE_ERROR, None, False)),
        (Failure(Code.RETRYABLE_ERROR, "often", retry_after=7, charged=False), (Code.RETRYABLE_ERROR, 7, False)),
        (Failure(Code.SOURCE_UNREADABLE, "noise"), (Code.SOURCE_UNREADABLE, None, True)),
        (Failure(Code.RETRYABLE_ERROR, "away", outage="postgres"), (Code.RETRYABLE_ERROR, None, True)),
        (Failure(Code.FORBIDDEN, "key"), None),
        (Failure(Code.INTERNAL, "bug"), None),
    ],
)
def test_what_another_jobs_failure_means_to_one_that_waited(failure: Failure, told: tuple[Code, float | None, bool] | None):
    heard = as_told(failure)
    assert (heard and (heard.code, heard.retry_after, heard.charged)) == told
