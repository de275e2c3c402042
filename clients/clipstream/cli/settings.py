"""Where the server is and which key it wants: flags, then environment, then the configuration file. Secrets are never in argv."""

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path

import click

FIELDS = {"server", "key_file", "output"}


@dataclass(frozen=True, slots=True)
class Configured:
    """As in ~/.config/clipstream/config.toml; None is what it does not say."""

    server: str | None = None
    key_file: str | None = None
    output: str | None = None


def config_path() -> Path:
    folder = os.environ.get("XDG_CONFIG_HOME", "")
    return Path(folder if Path(folder).is_absolute() else Path.home() / ".config") / "clipstream" / "config.toml"


def configured() -> Configured:
    """Raises UsageError, naming the file and what is wrong in it."""
    path = config_path()
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return Configured()
    except (OSError, ValueError) as error:
        raise click.UsageError(f"{path} can't be read: {error}") from error
    wrong = sorted(name for name, value in found.items() if name not in FIELDS or not isinstance(value, str))
    if wrong:
        raise click.UsageError(f"{path}: {wrong[0]} is no setting, or no text; there are server, key_file and output")
    return Configured(**found)


def server_named(flag: str | None, config: Configured) -> str | None:
    """None: nowhere is one configured."""
    return flag or os.environ.get("CLIPSTREAM_URL") or config.server


def key_named(flag: str | None, config: Configured) -> str | None:
    """The key itself. A file named on the command line goes before the environment, which goes before the configured file."""
    if flag is None and (key := os.environ.get("CLIPSTREAM_API_KEY")):
        return key
    named = flag or config.key_file
    return _key_in(Path(named).expanduser()) if named else None


def _key_in(path: Path) -> str:
    """The file's one line; a header as curl takes it (`X-API-Key: ck_…`) will do."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise click.UsageError(f"the key file {path} can't be read") from error
    key = text.strip().rpartition(" ")[2]
    if not key.startswith("ck_") or not key.isprintable():
        raise click.UsageError(f"{path} holds no API key: it must be one line that begins with ck_")
    return key
