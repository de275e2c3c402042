"""`python -m bench.subtitles_look [FILE]`: every style in many scripts, burned in as the service does it, as one picture to look at."""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from libs.common.domain.values import SubtitleStyle
from libs.common.runtime.settings import load
from services.clipper.captions import Caption, SpokenWord
from services.clipper.ffmpeg_plan import FONTS_CONFIG, SUBTITLES
from services.clipper.settings import ClipperSettings
from services.clipper.subtitle_files import Shown, write_subtitles
from services.clipper.subtitle_style import PRESETS

PICTURE = Path(__file__).parent.parent / "docs" / "subtitles.png"
STRIP = "440:112:100:240"
"""What is shown of each picture, as ffmpeg's crop: the lower middle."""
SIZE = (640, 360)
GRADIENT = "format=gray,geq=lum=30+200*X/W,format=yuv420p"
"""From dark to light: text must be read on both."""
COLOURS = 48
SAMPLES: dict[str, tuple[str, ...]] = {
    "en": ("Naïve café owners don't serve", "crème brûlée — {b1} \\N & <i>100%</i> of them."),
    "pl": ("Zażółć gęślą jaźń, proszę pana;", "Grüße, İstanbul, tiếng Việt rất đẹp"),
    "ru": ("Съешь ещё этих мягких", "французских булок, да выпей чаю."),
    "el": ("Ξεσκεπάζω την ψυχοφθόρα", "βδελυγμία — ένα κείμενο."),
    "ar": ("صِف خَلقَ خَودٍ كَمِثلِ الشَمسِ", "قال: «نعم، 25 مرة في YouTube»."),
    "he": ("דג סקרן שט בים מאוכזב,", "ולפתע מצא חברה (2026) – Google!"),  # noqa: RUF001  its own dash
    "hi": ("ऋषियों को सताने वाले दुष्ट", "राक्षसों का क्षत्रिय ने अंत किया।"),
    "th": ("เป็นมนุษย์สุดประเสริฐเลิศคุณค่า", "กว่าบรรดาฝูงสัตว์เดรัจฉาน ที่นี่"),
    "zh": ("骨直今海，他说：“我们今天", "在北京吃饭……iPhone 好。”"),  # noqa: RUF001  its own punctuation
    "ja": ("骨直今海、いろはにほへと", "「ちりぬるを」アッパー・ゲーム"),
    "ko": ("다람쥐 헌 쳇바퀴에 타고파,", "키스의 고유조건은 입술끼리 만나야 骨直"),
}


def caption(lines: Sequence[str]) -> Caption:
    """With words a second long each, those that spaces part."""
    words = [SpokenWord(text, n * 1000, (n + 1) * 1000) for n, text in enumerate(" ".join(lines).split())]
    return Caption(0, max(len(words), 1) * 1000, tuple(lines), tuple(words))


def render(
    shown: Shown, output: Path, *, settings: ClipperSettings, at: float, strip: str | None = None, background: str = GRADIENT
) -> None:
    """The subtitles of second `at` on a background, all of the picture or a `strip` of it; the file's format is by its suffix."""
    width, height = shown.size
    with tempfile.TemporaryDirectory() as name:
        write_subtitles(shown, settings, Path(name))
        crop = f",crop={strip}" if strip else ""
        chain = f"{background},setpts=PTS+{at}/TB,ass=filename={SUBTITLES}{crop}"
        environment = ["env", "FONTCONFIG_PATH=.", f"FONTCONFIG_FILE={FONTS_CONFIG}"]
        command = [
            settings.ffmpeg_bin,
            "-v",
            "error",
            "-y",
            "-f",
            "lavfi",
            "-i",
            f"color=c=gray:s={width}x{height}:d=0.1",
            "-vf",
            chain,
            "-frames:v",
            "1",
        ]
        subprocess.run([*environment, *command, str(output.absolute())], cwd=name, check=True, timeout=60)


def montage(pictures: Sequence[Path], columns: int, output: Path, *, settings: ClipperSettings) -> None:
    """Side by side, in few colours, for a small file."""
    rows = -(-len(pictures) // columns)
    inputs = [part for picture in pictures for part in ("-i", str(picture))]
    joined = f"{''.join(f'[{n}]' for n in range(len(pictures)))}concat=n={len(pictures)}:v=1:a=0"
    few = f"split[a][b];[a]palettegen=max_colors={COLOURS}:stats_mode=full[p];[b][p]paletteuse=dither=none"
    chain = f"{joined},tile={columns}x{rows}:padding=2,{few}"
    command = [settings.ffmpeg_bin, "-v", "error", "-y", *inputs, "-filter_complex", chain, "-frames:v", "1", str(output)]
    subprocess.run(command, check=True, timeout=60)


def main(output: Path) -> None:
    settings = load(ClipperSettings, {"DATABASE_URL": "postgresql://unused", "NATS_URL": "nats://unused"})
    with tempfile.TemporaryDirectory() as name:
        pictures = []
        for language, lines in SAMPLES.items():
            for style in PRESETS:
                pictures.append(Path(name) / f"{language}-{style}.png")
                render(_shown(lines, language, style), pictures[-1], settings=settings, at=1.5, strip=STRIP)
        montage(pictures, len(PRESETS), output, settings=settings)
    print(f"{output}: {output.stat().st_size:,} bytes; columns: {', '.join(PRESETS)}; rows: {', '.join(SAMPLES)}")


def _shown(lines: tuple[str, ...], language: str, style: SubtitleStyle) -> Shown:
    return Shown((caption(lines),), language, style, SIZE)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE)
