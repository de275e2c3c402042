"""What the fetching child does to itself before it reads anything from outside: it can connect to its two ports of loopback alone.

An audit hook holds Python to it; Landlock, where the kernel has it, C libraries and the programs started later as well.
And what its parent does, so that the child can't read the parent's secrets.
"""

import ctypes
import errno
import os
import sys
from collections.abc import Collection
from typing import Any

LOOPBACK = "127.0.0.1"

# Linux has given these numbers to every architecture. include/uapi/linux/landlock.h
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1
_NET_ABI = 4
_BIND_TCP, _CONNECT_TCP = 1, 2
_NET_PORT = 2
_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 4, 38


class _Ruleset(ctypes.Structure):
    _fields_ = (("handled_access_fs", ctypes.c_uint64), ("handled_access_net", ctypes.c_uint64))


class _PortRule(ctypes.Structure):
    _fields_ = (("allowed_access", ctypes.c_uint64), ("port", ctypes.c_uint64))


def make_unreadable() -> None:
    """From now on no other process of this user can read the memory and the environment of this one; root still can (prctl(2))."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, *map(ctypes.c_ulong, (0, 0, 0, 0)))


def confine_to(ports: Collection[int]) -> bool:
    """From now on only these TCP ports of 127.0.0.1 can be connected to, and no new one listened on; there is no way back.

    Whether the kernel holds it too. It holds the calling thread and what that starts later: call this before other threads run.
    The kernel knows ports, not addresses, and TCP alone; UDP and Unix sockets are kept from Python only.
    """
    held = sys.platform == "linux" and _landlocked(ports)
    allowed = frozenset(ports)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _JUDGED and not _JUDGED[event](arguments, allowed):
            raise PermissionError(errno.EACCES, f"this process may not do {event}")

    sys.addaudithook(hook)
    return held


def _is_allowed_target(arguments: tuple[Any, ...], ports: frozenset[int]) -> bool:
    """(socket, address); a message on a connected socket has no address."""
    address = arguments[1]
    return address is None or (isinstance(address, tuple) and address[:1] == (LOOPBACK,) and address[1] in ports)


def _is_numeric_name(arguments: tuple[Any, ...], _ports: frozenset[int]) -> bool:
    """(host, ...): a look-up of a name would leave this machine."""
    return arguments[0] in (None, LOOPBACK, LOOPBACK.encode())


def _is_never_allowed(_arguments: tuple[Any, ...], _ports: frozenset[int]) -> bool:
    return False


_JUDGED = {
    "socket.connect": _is_allowed_target,
    "socket.sendto": _is_allowed_target,
    "socket.sendmsg": _is_allowed_target,
    "socket.bind": _is_never_allowed,
    "socket.getaddrinfo": _is_numeric_name,
    "socket.gethostbyname": _is_numeric_name,
    "socket.gethostbyaddr": _is_numeric_name,
    "socket.getnameinfo": _is_never_allowed,
}


def _landlocked(ports: Collection[int]) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    call = libc.syscall
    call.restype = ctypes.c_long
    if call(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION)) < _NET_ABI:
        return False
    wanted = _Ruleset(0, _BIND_TCP | _CONNECT_TCP)
    ruleset = call(_CREATE_RULESET, ctypes.byref(wanted), ctypes.c_size_t(ctypes.sizeof(wanted)), ctypes.c_uint32(0))
    if ruleset < 0:
        return False
    try:
        rules = [_PortRule(_CONNECT_TCP, port) for port in ports]
        return (
            all(call(_ADD_RULE, ctypes.c_int(ruleset), _NET_PORT, ctypes.byref(rule), ctypes.c_uint32(0)) == 0 for rule in rules)
            and libc.prctl(_PR_SET_NO_NEW_PRIVS, *map(ctypes.c_ulong, (1, 0, 0, 0))) == 0
            and call(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0)) == 0
        )
    finally:
        os.close(ruleset)
