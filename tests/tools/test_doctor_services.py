"""What the doctor looks at for one service alone: ffmpeg's parts, fonts, yt-dlp, the recogniser, access."""

import re
import subprocess
from datetime import date
from pathlib import Path

import pytest
from aiohttp import web

from libs.common.runtime.doctor.examination import examine
from libs.common.runtime.fonts import fonts_folder
from libs.common.runtime.settings import load
from services.api.doctor import access_seen
from services.api.settings import ApiSettings
from services.asr.doctor import PATIENT as ASR
from services.asr.doctor import provider_seen
from services.clipper.doctor import NEEDS, SCRIPTS, fonts_seen
from services.clipper.doctor import PATIENT as CLIPPER
from services.clipper.typefaces import faces
from services.resolver.doctor import PATIENT as RESOLVER
from services.resolver.doctor import runtime_seen, ytdlp_seen
from services.resolver.settings import ResolverSettings
from tools.setup import ROOT

SECRET = "hunter2-and-more"
VARIABLES = {"DATABASE_URL": "postgresql://nobody", "NATS_URL": "nats://nobody", "API_SECRET": "s" * 32}


async def test_an_ffmpeg_without_libass_is_told_apart_from_none(tmp_path: Path):
    poor = tmp_path / "ffmpeg"
    poor.write_text("#!/bin/sh\nffmpeg \"$@\" | grep -v ' ass '\n")
    poor.chmod(0o755)
    for program, expected in ((str(poor), "this build lacks ass (filter)"), ("/nowhere/ffmpeg", "ffmpeg can't be started")):
        settings = load(CLIPPER.settings, {**VARIABLES, "FFMPEG_BIN": program})
        found = [finding for finding in await examine(CLIPPER.own(settings)) if finding.state == "failed"]
        assert [finding.seen for finding in found] == [expected]
        assert "FFMPEG_BIN" in found[0].advice


def test_a_script_that_no_font_has_is_named(tmp_path: Path):
    folder = fonts_folder()
    assert folder
    seen = fonts_seen(faces(folder))
    assert (seen.state, seen.text.partition("none with ")[2]) == ("warning", "Chinese, Japanese, Korean")
    assert fonts_seen(()).state == "failed"
    assert len(SCRIPTS) == 10


def test_every_filter_of_the_burn_and_of_the_presets_is_looked_for():
    plans = "\n".join((ROOT / "services" / "clipper" / f"{name}.py").read_text() for name in ("ffmpeg_plan", "join_plan", "rendition_plan"))
    ran = subprocess.run(["ffmpeg", "-hide_banner", "-filters"], capture_output=True, text=True, check=True).stdout
    known = {line.split()[1] for line in ran.splitlines() if "->" in line and len(line.split()) > 2}
    named = set(re.findall(r'filter\(\[?\w*,?\s*"(\w+)"', plans)) | set(re.findall(r'["\],]([a-z0-9]+)=(?=[\w{])', plans)) & known
    assert named & known - set(NEEDS["filters"]) == set()


async def test_yt_dlp_is_stale_after_ninety_days_and_off_is_no_matter():
    on = load(ResolverSettings, {**VARIABLES, "ENABLE_YTDLP": "true", "YTDLP_JS_RUNTIME": "deno:/nowhere/deno"})
    off = load(ResolverSettings, VARIABLES)
    assert ytdlp_seen("2026.8.19", date(2026, 11, 17), on).state == "ok"
    assert ytdlp_seen("2026.8.19.1", date(2026, 11, 18), on).text == "2026.8.19.1, 91 days old: sites may have changed since"
    assert ytdlp_seen(None, date(2026, 11, 18), on).state == "failed"
    assert runtime_seen(on).text == "/nowhere/deno is not found: some sites give nothing without it"
    assert [ytdlp_seen(None, date(2026, 11, 18), off).state, runtime_seen(off).state] == ["skipped", "skipped"]
    assert [finding.name for finding in await examine(RESOLVER.own(off))] == ["ffprobe", "yt-dlp", "JavaScript"]


def test_an_api_without_keys_is_told_in_production():
    states = [
        access_seen(load(ApiSettings, {**VARIABLES, **more})).state
        for more in ({}, {"ENVIRONMENT": "production"}, {"ENABLE_API_KEYS": "on"})
    ]
    assert states == ["ok", "warning", "ok"]


@pytest.mark.parametrize(("status", "expected"), [(200, "takes the key, and has m"), (401, "the provider refuses the key")])
async def test_the_provider_is_asked_what_costs_nothing(status: int, expected: str):
    asked: list[str] = []

    async def models(request: web.Request) -> web.Response:
        asked.append(f"{request.method} {request.path}")
        told = {"object": "list", "data": [{"id": "m", "object": "model", "created": 1, "owned_by": "us"}]}
        return web.json_response(told if status == 200 else {"error": {"message": "no"}}, status=status)

    app = web.Application()
    app.router.add_get("/{path:.*}", models)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        own = {"ASR_PROVIDER": "groq", "GROQ_API_KEY": f"gsk_{SECRET}", "ASR_BASE_URL": base, "GROQ_MODEL": "m"}
        found = await examine(ASR.own(load(ASR.settings, {**VARIABLES, **own})))
    finally:
        await runner.cleanup()
    assert [finding.seen for finding in found if finding.name == "provider"] == [expected]
    assert (asked, SECRET in str(found)) == (["GET /openai/v1/models"], False)


def test_a_model_that_the_provider_has_not_is_told():
    assert provider_seen(["a", "b"], "c").advice == "Set GROQ_MODEL to one of: a, b."
    assert provider_seen(500, "c").state == "warning"
