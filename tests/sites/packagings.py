"""The same film in the files in which sites give it out: progressive, HLS (RFC 8216) and DASH (ISO/IEC 23009-1). Pictures are copied.

What yt-dlp says of each is in test_sites.py.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from Cryptodome.Cipher import AES
from Cryptodome.Util.Padding import pad

from tests.media import FFMPEG
from tests.sites import dash

SEGMENT_SECONDS = 6
"""On average: HLS segments end at the first keyframe from each multiple of it on, here after 6.3 or 4.2 s."""
LATE_CLOCK = 37_000.0
WRAP = 2**33 / 90_000
"""Seconds after which the 33 bit clock of MPEG-TS begins again."""
KEY = bytes(range(16))


def packaged(film: Path, kind: str) -> Path:
    """The file that a player opens, in a folder beside the film; made unless it is there."""
    folder = film.with_suffix("") / kind
    name, make = KINDS[kind]
    if not folder.exists():
        making = folder.with_name(f"{kind}.{os.getpid()}")
        making.mkdir(parents=True)
        make(film, making)
        try:
            making.rename(folder)
        except OSError:  # another process was faster
            shutil.rmtree(making)
    return folder / name


def _ffmpeg(film: Path, *arguments: str, seek: tuple[str, ...] = ()) -> None:
    subprocess.run([FFMPEG, "-v", "error", "-y", *seek, "-i", str(film), *arguments], check=True, timeout=170)


def _copied(name: str, *options: str) -> tuple[str, Callable[[Path, Path], None]]:
    return name, lambda film, folder: _ffmpeg(film, "-c", "copy", *options, str(folder / name))


def _hls(*options: str, clock: float = 0) -> Callable[[Path, Path], None]:
    """`clock` seconds are added to the timestamps, which begin at 1.4 s in what ffmpeg makes."""
    fixed = ("-c", "copy", "-f", "hls", "-hls_time", str(SEGMENT_SECONDS), "-hls_playlist_type", "vod")
    shifted = ("-output_ts_offset", str(clock)) if clock else ()
    return lambda film, folder: _ffmpeg(film, *fixed, *shifted, *options, str(folder / "index.m3u8"))


FMP4 = ("-hls_segment_type", "fmp4")


def _encrypted(film: Path, folder: Path) -> None:
    """AES-128 with an IV in the playlist."""
    key, about = folder / "key.bin", folder / "key.info"
    key.write_bytes(KEY)
    about.write_text(f"key.bin\n{key}\n{bytes(range(16, 32)).hex()}\n")
    _hls("-hls_key_info_file", str(about))(film, folder)


def _encrypted_by_sequence(film: Path, folder: Path) -> None:
    """AES-128 without: a segment's IV is its media sequence number (RFC 8216, 5.2)."""
    _hls()(film, folder)
    (folder / "key.bin").write_bytes(KEY)
    playlist = folder / "index.m3u8"
    head, *segments = playlist.read_text().split("#EXTINF")
    for number, segment in enumerate(segments):
        path = folder / segment.splitlines()[1]
        path.write_bytes(AES.new(KEY, AES.MODE_CBC, number.to_bytes(16, "big")).encrypt(pad(path.read_bytes(), AES.block_size)))
    playlist.write_text("#EXTINF".join([f'{head}#EXT-X-KEY:METHOD=AES-128,URI="key.bin"\n', *segments]))


def _with_discontinuity(film: Path, folder: Path) -> None:
    """From the middle segment on, timestamps begin again at 1.4 s."""
    lines = (packaged(film, "hls-ts")).read_text().splitlines()
    places = [n for n, line in enumerate(lines) if line.startswith("#EXTINF")]
    middle = places[len(places) // 2]
    before = sum(float(lines[n][8:].rstrip(",")) for n in places if n < middle)
    for name, offset in (("first", 0), ("second", -before)):
        (folder / name).mkdir()
        _hls("-avoid_negative_ts", "disabled", clock=offset)(film, folder / name)
    named = [_moved(line, "first" if n < middle else "second") for n, line in enumerate(lines)]
    (folder / "index.m3u8").write_text("\n".join([*named[:middle], "#EXT-X-DISCONTINUITY", *named[middle:]]) + "\n")


def _moved(line: str, folder: str) -> str:
    return line if line.startswith("#") or not line else f"{folder}/{line}"


def _with_own_sound(film: Path, folder: Path) -> None:
    """Picture and sound apart, joined by EXT-X-MEDIA (RFC 8216, 4.3.4.1)."""
    for name, without in (("picture", "-an"), ("sound", "-vn")):
        (folder / name).mkdir()
        _hls(without)(film, folder / name)
    (folder / "master.m3u8").write_text(
        '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="sound",NAME="English",LANGUAGE="en",DEFAULT=YES,AUTOSELECT=YES,URI="sound/index.m3u8"\n'
        '#EXT-X-STREAM-INF:BANDWIDTH=240000,RESOLUTION=160x96,CODECS="avc1.4d500b,mp4a.40.2",AUDIO="sound"\npicture/index.m3u8\n'
    )


def _with_variants(film: Path, folder: Path) -> None:
    """The film itself, and coded anew at twice the size: the only packaging (but for WebM) that takes an encoder."""
    larger = ("-vf", "scale=320:192:flags=neighbor", "-c:a", "copy", "-c:v", "libx264", "-preset", "ultrafast", "-g", "21", "-b:v", "200k")
    (folder / "large").mkdir()
    (folder / "small").mkdir()
    _hls()(film, folder / "small")
    _hls(*larger)(film, folder / "large")
    (folder / "master.m3u8").write_text(
        '#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=240000,RESOLUTION=160x96,CODECS="avc1.4d500b,mp4a.40.2"\nsmall/index.m3u8\n'
        '#EXT-X-STREAM-INF:BANDWIDTH=400000,RESOLUTION=320x192,CODECS="avc1.4d500b,mp4a.40.2"\nlarge/index.m3u8\n'
    )


def _disguised(film: Path, folder: Path) -> None:
    """A playlist that says that it is an MP4."""
    _hls()(film, folder)
    (folder / "index.m3u8").rename(folder / "film.mp4")


def _concat_script(film: Path, folder: Path) -> None:
    """A script of ffmpeg's that says that it is an MP4."""
    _copied("part.ts")[1](film, folder)
    (folder / "film.mp4").write_text("ffconcat version 1.0\nfile part.ts\n")


WEBM = ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-g", "21", "-b:v", "200k", "-c:a", "libopus", "-b:a", "64k")

KINDS: dict[str, tuple[str, Callable[[Path, Path], None]]] = {
    "faststart": _copied("film.mp4", "-movflags", "+faststart"),
    "moov-at-end": _copied("film.mp4"),
    "fragmented": _copied("film.mp4", "-movflags", "frag_keyframe+empty_moov+default_base_moof"),
    "mkv": _copied("film.mkv"),
    "ts": _copied("film.ts"),
    "webm": ("film.webm", lambda film, folder: _ffmpeg(film, *WEBM, str(folder / "film.webm"))),
    "m4a": _copied("film.m4a", "-vn", "-f", "mp4", "-movflags", "+faststart"),
    "mp3": ("film.mp3", lambda film, folder: _ffmpeg(film, "-vn", "-c:a", "libmp3lame", "-b:a", "64k", str(folder / "film.mp3"))),
    "no-sound": _copied("film.mp4", "-an", "-movflags", "+faststart"),
    "disguised-hls": ("film.mp4", _disguised),
    "disguised-script": ("film.mp4", _concat_script),
    "hls-ts": ("index.m3u8", _hls()),
    "hls-fmp4": ("index.m3u8", _hls(*FMP4)),
    "hls-ts-ranges": ("index.m3u8", _hls("-hls_flags", "single_file")),
    "hls-fmp4-ranges": ("index.m3u8", _hls(*FMP4, "-hls_flags", "single_file")),
    "hls-aes": ("index.m3u8", _encrypted),
    "hls-aes-sequence": ("index.m3u8", _encrypted_by_sequence),
    "hls-late-clock": ("index.m3u8", _hls(clock=LATE_CLOCK)),
    "hls-clock-wrap": ("index.m3u8", _hls(clock=WRAP - 10)),
    "hls-discontinuity": ("index.m3u8", _with_discontinuity),
    "hls-own-sound": ("master.m3u8", _with_own_sound),
    "hls-variants": ("master.m3u8", _with_variants),
    "hls-sound-only": ("index.m3u8", _hls("-vn")),
    "dash": ("index.mpd", dash.with_timeline),
    "dash-numbers": ("index.mpd", dash.with_numbers),
    "dash-ranges": ("index.mpd", dash.with_ranges),
    "dash-on-demand": ("index.mpd", dash.on_demand),
    "dash-live": ("index.mpd", dash.live),
}
"""Name: the file to open, and what makes it and those that it names."""
