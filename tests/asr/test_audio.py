"""The extraction's command, and what its end means; what it makes of real clips is in test_handler.py."""

from pathlib import Path

import pytest

from libs.common.domain.failures import Code, Failure
from services.asr.audio import extract_audio, extraction
from tests.asr.settings import asr_settings


def test_the_command_reads_nothing_but_the_clip_and_pads_its_sound_to_the_clips_length():
    assert " ".join(extraction("ffmpeg", "clip.mp4", 12.5)) == (
        "ffmpeg -nostdin -hide_banner -v error -y -filter_threads 1"
        " -protocol_whitelist file -format_whitelist mov -f mov -threads 1 -i clip.mp4"
        " -map 0:a:0 -vn -sn -dn -map_metadata -1"
        " -af aresample=16000:async=1:min_hard_comp=0.01:first_pts=0,apad -t 12.500000"
        " -ac 1 -threads 1 -c:a flac -flags:a +bitexact -fflags +bitexact -f flac clip.flac"
    )


@pytest.mark.parametrize(("end", "code"), [("kill -9 $$", Code.RETRYABLE_ERROR), ("exit 1", Code.SOURCE_UNREADABLE)])
async def test_a_killed_extraction_is_tried_again_and_one_that_refuses_is_not(tmp_path: Path, end: str, code: Code):
    program = tmp_path / "ffmpeg"
    program.write_text(f"#!/bin/sh\n{end}\n")
    program.chmod(0o755)
    with pytest.raises(Failure) as raised:
        await extract_audio(tmp_path / "clip.mp4", 2.0, asr_settings(ffmpeg_bin=program))
    assert raised.value.code is code
