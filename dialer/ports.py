"""Free ports of this machine, for what is started beside the server: a demo, a test."""

from __future__ import annotations

import random
import socket

#: Below the ports that the kernel hands out by itself, and apart from those for voice: nobody takes one of
#: these between our look and the bind but by the same luck.
_FIRST, _LAST = 5_100, 11_900
_TRIES = 100


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM, host: str = "127.0.0.1") -> int:
    """A port that nobody has now: TCP with `SOCK_STREAM`, UDP with `SOCK_DGRAM`.

    Raises OSError where none of many tries is free, or the address cannot be bound at all.
    """
    for attempt in range(_TRIES):
        port = random.randint(_FIRST, _LAST)  # noqa: S311
        with socket.socket(socket.AF_INET, kind) as trial:
            try:
                trial.bind((host, port))
            except OSError:
                if attempt == _TRIES - 1:
                    raise
            else:
                return port
    raise AssertionError("the last try returns or raises")


def taken(port: int, host: str = "127.0.0.1") -> bool:
    """Whether somebody listens at a TCP port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError:
            return True
        return False
