"""`clipstream cut` against the running system: files where it says, stdout for programs, an exit code for each end."""

import json
from pathlib import Path

import pytest

from tests.clients.cli.typing_in import Shell
from tests.e2e.test_main_job import frame_count
from tests.sites.films import short_film
from tests.sites.packagings import packaged
from tests.sites.site import Site
from tests.whole_stack import System


async def test_a_cut_leaves_the_clip_where_it_says_and_says_nothing_else_on_stdout(shell: Shell, small: Path) -> None:
    said = await shell.run("cut", str(small), "0:03.4", "+1.2")
    assert (said.code, said.out.split()) == (0, ["small-3.4s-4.6s.mp4", "small-3.4s-4.6s.jpg"]), said
    assert frame_count(shell.folder / "small-3.4s-4.6s.mp4") == 30
    assert "uploading small.mp4" in said.err
    assert "\x1b" not in said.out + said.err


async def test_json_is_one_document_that_names_each_clip_of_several(shell: Shell, small: Path) -> None:
    said = await shell.run("cut", str(small), "--segment", "1-2", "--segment", "*4-+1.5", "-o", "clips/of it", "--json")
    clips = json.loads(said.out)["clips"]
    assert [clip["files"]["video"] for clip in clips] == ["clips/of it/small-1s-2s.mp4", "clips/of it/small-4s-5.5s.mp4"], said.err
    assert [(clip["job"]["start"], clip["job"]["end"], clip["job"]["status"]) for clip in clips] == [(1.0, 2.0, "done"), (4.0, 5.5, "done")]
    assert [frame_count(shell.folder / clip["files"]["video"]) for clip in clips] == [25, 38]


async def test_joined_segments_are_one_clip_with_the_name_that_was_asked_for(shell: Shell, small: Path) -> None:
    said = await shell.run("cut", str(small), "--segment", "6-7", "--segment", "1-2", "--joined", "--name", "best of", "--preset", "audio")
    assert sorted(said.out.splitlines()) == ["best of.jpg", "best of.m4a", "best of.mp4"], said.err
    assert frame_count(shell.folder / "best of.mp4") == 50


async def test_a_fast_cut_says_where_it_really_begins(shell: Shell, small: Path) -> None:
    said = await shell.run("cut", str(small), "3.4", "5", "--fast")
    assert "the clip begins at 0:03, the keyframe before 0:03.4" in said.err, said


async def test_a_detached_job_is_watched_and_fetched_by_other_commands(shell: Shell, small: Path) -> None:
    job_id = (await shell.run("cut", str(small), "2", "3", "--detach")).out.strip()
    watched = await shell.run("status", job_id, "--watch")
    assert watched.code == 0
    assert f"job          {job_id}\nstatus       done\n" in watched.out
    fetched = await shell.run("download", job_id, "-o", "there", "--only", "video", "--json")
    assert json.loads(fetched.out)["files"] == {"video": f"there/clip-{job_id[:8]}.mp4"}, fetched
    assert [path.name for path in (shell.folder / "there").iterdir()] == [f"clip-{job_id[:8]}.mp4"]


async def test_a_video_by_url_is_cut_without_a_file_of_it(shell: Shell, site: Site) -> None:
    said = await shell.run("cut", site.file(packaged(short_film(site.folder), "faststart"), number=88), "1m30s", "1m31s")
    assert said.code == 3
    assert "error: " in said.err
    said = await shell.run("cut", site.file(packaged(short_film(site.folder), "faststart"), number=88), "2", "3")
    assert (said.code, len(said.out.splitlines())) == (0, 2), said


async def test_a_job_that_fails_ends_with_its_own_words_and_code_3(shell: Shell, small: Path) -> None:
    said = await shell.run("cut", str(small), "20", "21")
    assert (said.code, said.out) == (3, "")
    assert "hint: Choose start and end inside the source's duration." in said.err
    assert "correlation id: " in said.err
    told = await shell.run("cut", str(small), "20", "21", "--json")
    assert json.loads(told.err.splitlines()[-1])["error"]["code"] == "RANGE_OUTSIDE_SOURCE"
    assert json.loads(told.out)["clips"][0]["job"]["status"] == "failed"


async def test_of_several_clips_one_that_fails_costs_the_others_nothing(shell: Shell, small: Path) -> None:
    said = await shell.run("cut", str(small), "--segment", "20-21", "--segment", "1-2")
    assert (said.code, said.out.split()[0]) == (3, "small-1s-2s.mp4"), said
    assert "clip 1 of 2: failed: " in said.err


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (("5", "3"), "must be after the start"),
        (("later", "5"), "'later' is no time"),
        (("5",), "'5' is no range"),
        ((), "say which part"),
        (("1", "2", "--segment", "3-4"), "not both"),
        (("1", "2", "--name", "../up"), "it names files, not folders"),
        (("1", "2", "--preset", "8k"), "'8k' is not one of"),
    ],
)
async def test_what_is_typed_wrong_is_told_before_anything_is_sent(shell: Shell, small: Path, words: tuple[str, ...], wrong: str) -> None:
    said = await shell.run("cut", str(small), *words, CLIPSTREAM_URL="http://127.0.0.1:9")
    assert (said.code, said.out) == (2, "")
    assert wrong in said.err


async def test_what_the_server_finds_wrong_is_a_usage_error_too(shell: Shell, small: Path, system: System) -> None:
    said = await shell.run("cut", str(small), "1", "+1h", "--json")
    assert (said.code, json.loads(said.err.splitlines()[-1])["error"]["code"]) == (2, "CLIP_TOO_LONG"), said
