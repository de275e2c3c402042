"""Confinement, in processes of their own: what they, their C libraries and their children can still connect to."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@contextmanager
def listening(host: str = "127.0.0.1") -> Iterator[socket.socket]:
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as server:
        server.settimeout(0)
        yield server


def was_reached(server: socket.socket) -> bool:
    try:
        server.accept()[0].close()
    except BlockingIOError:
        return False
    return True


async def confined(ports: int | str, code: str, before: str = "") -> str:
    """What Python code prints after it was confined to ports; `held` is whether the kernel holds it too."""
    confining = f"from libs.common.runtime.confinement import confine_to\nheld = confine_to([{ports}])"
    program = f"import socket, sys\n{before}\n{confining}\n{code}"
    argv = [sys.executable, "-c", program]
    done = await asyncio.to_thread(subprocess.run, argv, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def trying(call: str) -> str:
    return f"try:\n    {call}\n    print('reached')\nexcept PermissionError:\n    print('refused')"


async def kernel_holds() -> bool:
    return await confined(1, "print(held)") == "True"


async def test_the_allowed_port_is_reached_and_talked_with() -> None:
    with listening() as server:
        port = server.getsockname()[1]
        code = f"with socket.create_connection(('127.0.0.1', {port})) as c: c.sendall(b'x'); c.sendmsg([b'y']); print('reached')"
        assert await confined(port, code) == "reached"
        assert was_reached(server)


@pytest.mark.parametrize(
    "call",
    [
        *("socket.create_connection(('127.0.0.1', {other}))", "socket.create_connection(('::1', {allowed}))"),
        *("socket.create_connection(('127.0.0.2', {allowed}))", "socket.socket().connect_ex(('127.0.0.1', {other}))"),
        *("socket.socket(socket.AF_UNIX).connect('/run/x.sock')", "socket.socket(socket.AF_UNIX).connect(b'\\0abstract')"),
        *("socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {other}))", "socket.getaddrinfo('example.com', 80)"),
        *("socket.socket(type=socket.SOCK_DGRAM).sendmsg([b'x'], [], 0, ('8.8.8.8', 53))", "socket.gethostbyname('localhost')"),
        *("socket.gethostbyaddr('8.8.8.8')", "socket.getnameinfo(('8.8.8.8', 53), 0)", "socket.create_server(('127.0.0.1', 0))"),
        "socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(b'x', ('::ffff:127.0.0.1', {allowed}))",
    ],
)
async def test_python_reaches_nothing_else(call: str) -> None:
    with listening() as server, listening() as canary:
        allowed, other = server.getsockname()[1], canary.getsockname()[1]
        assert await confined(allowed, trying(call.format(allowed=allowed, other=other))) == "refused"
        assert not was_reached(canary)


CONNECT_BY_C = """
import ctypes, struct
libc = ctypes.CDLL(None, use_errno=True)
def by_c(port):
    address = struct.pack("=H", 2) + struct.pack("!H", port) + bytes([127, 0, 0, 1]) + bytes(8)
    return libc.connect(libc.socket(2, 1, 0), address, 16)
print(by_c({other}), ctypes.get_errno(), by_c({allowed}))
"""
A_GRANDCHILD = """
import subprocess
connect = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])))"
print(*(subprocess.run([sys.executable, "-c", connect, port], capture_output=True).returncode for port in ("{other}", "{allowed}")))
"""
LIBAV = """
import av
for port in ({other}, {allowed}):
    try:
        av.open("http://127.0.0.1:%d/x" % port, timeout=1)
    except av.PermissionError:
        print("refused", end=" ")
    except av.FFmpegError:
        print("reached", end=" ")
"""


@pytest.mark.parametrize(("code", "said"), [(CONNECT_BY_C, "-1 13 0"), (A_GRANDCHILD, "1 0"), (LIBAV, "refused reached")])
async def test_the_kernel_holds_c_libraries_and_children_to_it(code: str, said: str) -> None:
    if not await kernel_holds():
        pytest.skip("this kernel's Landlock knows no ports (it needs Linux 6.7)")
    with listening() as server, listening() as canary:
        allowed, other = server.getsockname()[1], canary.getsockname()[1]
        assert await confined(allowed, code.format(allowed=allowed, other=other)) == said
        assert was_reached(server)
        assert not was_reached(canary)


async def test_a_server_that_listened_before_goes_on() -> None:
    before = "server = socket.create_server(('127.0.0.1', 0)); port = server.getsockname()[1]"
    code = "client = socket.create_connection(('127.0.0.1', port)); server.accept()[0].sendall(b'hello'); print(client.recv(5).decode())"
    assert await confined("port", code, before) == "hello"


SECRETIVE = """
import ctypes, os, subprocess
from libs.common.runtime.confinement import make_unreadable
if os.getuid() == 0:  # whom nothing is kept from
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # changing users makes unreadable too
def is_read():
    return subprocess.run(["cat", f"/proc/{os.getpid()}/environ"], capture_output=True, cwd="/").returncode == 0
before = is_read()
make_unreadable()
print(before, is_read())
"""


async def test_a_child_cannot_read_the_secrets_in_its_parents_environment() -> None:
    assert await confined(1, "", before=SECRETIVE) == "True False"
