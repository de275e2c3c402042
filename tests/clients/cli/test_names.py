"""What the files of a clip are called."""

from hypothesis import given
from hypothesis import strategies as st

from clipstream.cli.names import LONGEST_STEM, is_name, is_url, numbered, stem_of, stem_of_job
from clipstream.cli.times import Range

JOB = "5f0c2a1e-0000-4000-8000-000000000000"


def test_another_range_of_a_file_is_another_name() -> None:
    assert stem_of("films/talk.mp4", (Range(90.0, 3723.5),), JOB) == "talk-1m30s-1h02m03.5s"


def test_a_clip_of_a_url_or_of_several_parts_is_named_for_its_job() -> None:
    assert stem_of("https://example.com/../talk.mp4", (Range(1, 2),), JOB) == "clip-5f0c2a1e"
    assert stem_of("talk.mp4", (Range(1, 2), Range(5, 6)), JOB) == "talk-joined-5f0c2a1e"


def test_a_name_is_numbered_only_where_there_are_several() -> None:
    assert (numbered("goal", 1, 1), numbered("goal", 2, 3)) == ("goal", "goal-2")


@given(st.text())
def test_an_id_of_a_hostile_server_names_no_other_folder(job_id: str) -> None:
    name = stem_of_job(job_id)
    assert name.startswith("clip-")
    assert name.removeprefix("clip-").encode("ascii").isalnum() or name == "clip-"


@given(st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=250))
def test_whatever_a_source_is_called_its_clips_have_names_that_fit_on_a_line_and_on_a_disk(source: str) -> None:
    name = stem_of(source, (Range(1, 2),), JOB)
    assert len(name.encode(errors="replace")) <= LONGEST_STEM + len("-1s-2s")
    assert not {"\n", "\r", "\x1b"} & set(name)


def test_a_name_names_files_here() -> None:
    assert [is_name(text) for text in ("goal", "ö" * 110, "", "..", "a/b", "a\0", "x" * 300)] == [True, True, *[False] * 5]


def test_only_http_is_a_url() -> None:
    assert [is_url(source) for source in ("https://a.example", "HTTP://a.example", "talk.mp4", "file:///etc/passwd", "c:/talk.mp4")] == [
        *(True, True, False, False, False)
    ]
