"""Free ports of this machine, for what is started beside the server (a demo, a test), and its address."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

#: Below the ports that the kernel hands out by itself, and apart from those for voice: nobody takes one of
#: these between our look and the bind but by the same luck.
_FIRST, _LAST = 5_100, 11_900
_TRIES = 100


class _Promised:
    """Numbers that were told as free and may not be bound yet.

    Each is a lock on one byte of a file that all processes of this user share: it ends with its process.
    """

    def __init__(self) -> None:
        self._numbers: set[int] = set()
        self._locks: int | None = None
        self._pid = 0

    def take(self, port: int) -> bool:
        """Whether it was promised to nobody; it is from now on."""
        if self._locks is None or self._pid != os.getpid():  # a fork has none of its parent's locks
            path = Path(tempfile.gettempdir()) / f"dozvon-ports-{os.getuid()}"
            self._locks, self._pid = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), os.getpid()
            self._numbers.clear()
        if port in self._numbers:
            return False
        try:
            fcntl.lockf(self._locks, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        except BlockingIOError:
            return False
        self._numbers.add(port)
        return True


_promised = _Promised()


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM, host: str = "127.0.0.1") -> int:
    """A port that nobody has now: TCP with `SOCK_STREAM`, UDP with `SOCK_DGRAM`.

    It is told once: neither this process nor another of this user is told the same while this one lives.

    Raises OSError where none of many tries is free, or the address cannot be bound at all.
    """
    refused = OSError(f"no free port in {_TRIES} tries from {_FIRST} to {_LAST}")
    for _ in range(_TRIES):
        port = random.randint(_FIRST, _LAST)  # noqa: S311
        with socket.socket(socket.AF_INET, kind) as trial:
            try:
                trial.bind((host, port))
            except OSError as error:
                refused = error
                continue
        if _promised.take(port):
            return port
    raise refused


def taken(port: int, host: str = "127.0.0.1") -> bool:
    """Whether somebody listens at a TCP port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError:
            return True
        return False


def own_address(outside: str = "192.0.2.1") -> str:
    """The address by which this machine goes out to another one; by itself: to the network at large."""
    family = socket.AF_INET6 if ":" in outside else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as line:
        try:
            line.connect((outside, 9))  # sends nothing
        except OSError:
            return "::1" if family == socket.AF_INET6 else "127.0.0.1"  # no way out at all
        return str(line.getsockname()[0])
