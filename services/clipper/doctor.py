"""`python -m services.clipper.doctor`: whether the clipper is set up right."""

from collections.abc import Sequence
from functools import partial

from libs.common.domain.events import StageName
from libs.common.runtime.doctor.examination import Check, aside
from libs.common.runtime.doctor.findings import Seen, failed, ok, warning
from libs.common.runtime.doctor.programs import Needs, feature_check, program_checks
from libs.common.runtime.doctor.services import Patient, main
from libs.common.runtime.doctor.subjects import said_by
from services.clipper.settings import ClipperSettings
from services.clipper.typefaces import Face, all_faces

NEEDS: Needs = {
    "encoders": {"libx264", "libx265", "aac", "libmp3lame", "gif", "png", "rawvideo"},
    "decoders": {"h264", "hevc", "vp9", "av1", "aac", "mp3", "opus"},
    "filters": {
        *("ass", "trim", "setpts", "settb", "split", "scale", "crop", "pad", "format", "interleave", "overlay", "gblur", "lut3d"),
        *("setparams", "setsar", "fps", "tpad", "palettegen", "paletteuse", "atrim", "aresample", "aformat", "apad", "concat", "anullsrc"),
    },
    "muxers": {"mp4", "ipod", "mp3", "gif", "image2", "rawvideo"},
    "demuxers": {"mov", "matroska", "mpegts", "png_pipe", "lavfi"},
}
"""What the plans name; a test holds this to them."""
SCRIPTS = {
    "Latin": "Aéß",
    "Cyrillic": "Жя",
    "Greek": "Ωλ",
    "Arabic": "عب",
    "Hebrew": "שא",
    "Devanagari": "हि",
    "Thai": "ไท",
    "Chinese": "漢字",
    "Japanese": "かナ",
    "Korean": "한글",
}
"""A few letters of each. Emoji are no script here: they are left out of the picture (docs/subtitles.md)."""
FONTS = "Install manimgx-fonts and manimgx-fonts-cjk, or put fonts of these scripts into FONTS_DIR."


def own_checks(settings: ClipperSettings) -> Sequence[Check]:
    return [
        *program_checks("clipper", {"FFMPEG_BIN": settings.ffmpeg_bin, "FFPROBE_BIN": settings.ffprobe_bin}),
        feature_check("clipper", settings.ffmpeg_bin, NEEDS),
        Check(topic="clipper", name="fonts", look=partial(aside, lambda: fonts_seen(all_faces(settings.fonts_folders))), seconds=20),
    ]


def fonts_seen(faces: Sequence[Face]) -> Seen:
    if not faces:
        return failed("there is no font at all: nothing can be burned in", FONTS)
    missing = [script for script, letters in SCRIPTS.items() if not all(any(face.has(letter) for face in faces) for letter in letters)]
    if missing:
        return warning(f"{len(faces)} fonts, none with {', '.join(missing)}", FONTS)
    return ok(f"{len(faces)} fonts, with letters of {', '.join(SCRIPTS)}")


PATIENT = Patient(
    name="clipper",
    settings=ClipperSettings,
    says=said_by(StageName.CLIPPER, StageName.BURNER, makes=StageName.ASR),
    own=own_checks,
    memory_mb=2048,
)

if __name__ == "__main__":
    main(PATIENT)
