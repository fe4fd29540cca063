"""The engine with a fault of its own: it kills or freezes itself at an exact point of placing a call.

Run as a program: `engine_with_fault POINT FILE`. It is the server's own `run engine`, in which the method
that sends actions to Asterisk is another one. A SIGUSR1 arms it; the next call that is placed is its last:

    before_originate    the attempt is committed, nothing was sent
    after_originate     the Originate was written to the socket, its reply has not come

The attempt's id is written to FILE first. Two more points kill nothing:

    frozen_originate    it stands still (SIGSTOP) when nothing is left to do but to write the Originate; when
    it
                        is thawed it writes it
    overflow            the queue of events is short, so that it can be made to overflow
    noted               of each call, how long its Originate was written after its commit was asked for, by
                        this process's own clock that nobody sets: a line "attempt seconds" in FILE
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import runpy
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dialer.asterisk.ami import AmiLink, AmiReply
from dialer.calls.placing import Placer

BEFORE, AFTER = "before_originate", "after_originate"
POINTS = (BEFORE, AFTER)
FROZEN = "frozen_originate"
OVERFLOW = "overflow"
NOTED = "noted"
#: How many events the short queue holds; the server's holds a hundred times as many.
QUEUE = 500
#: A call of a customer; an agent's phone is called with the same action.
CUSTOMER = "dozvon-customer"

_ask = AmiLink.send
_commit = Placer._commit


class Fault:
    """The end of this process, once it is armed."""

    def __init__(self, point: str, file: Path) -> None:
        self.point = point
        self.file = file
        self.armed = False

    def arm(self, *_: object) -> None:
        """From now on the next call is the last."""
        self.armed = True

    async def send(
        self, link: AmiLink, action: Mapping[str, str | Sequence[str]], **options: Any
    ) -> AmiReply:
        """In place of AmiLink.send."""
        if not self.armed or action.get("Context") != CUSTOMER:
            return await _ask(link, action, **options)
        self.armed = False
        self.file.write_text(str(action["ChannelId"]), encoding="ascii")
        if self.point == FROZEN:
            os.kill(os.getpid(), signal.SIGSTOP)
            return await _ask(link, action, **options)
        if self.point == AFTER:
            asking = asyncio.create_task(_ask(link, action, **options))
            # One turn of the loop: it has given its bytes to the kernel and waits.
            await asyncio.sleep(0)
            assert not asking.done()
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("dead")


class Notes:
    """How late each call was sent, for whoever holds the rule against it."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._committed: dict[str, float] = {}

    async def commit(self, placer: Placer, *args: Any, **options: Any) -> Any:
        """In place of Placer._commit, behind which nothing is left but the commit."""
        answer = await _commit(placer, *args, **options)
        placed = inspect.signature(_commit).bind(placer, *args, **options).arguments["placed"]
        self._committed |= {str(line.call.attempt_id): time.monotonic() for line in placed}
        return answer

    async def send(
        self, link: AmiLink, action: Mapping[str, str | Sequence[str]], *, timeout_s: float | None = None
    ) -> AmiReply:
        """In place of AmiLink.send."""
        if action.get("Context") == CUSTOMER:
            attempt = str(action["ChannelId"])
            late_s = time.monotonic() - self._committed.pop(attempt)
            with self.file.open("a", encoding="ascii") as notes:
                notes.write(f"{attempt} {late_s:.6f}\n")
        return await _ask(link, action, timeout_s=timeout_s)


def main() -> None:
    """Be the engine."""
    if sys.argv[1] == NOTED:
        notes = Notes(Path(sys.argv[2]))

        async def commit(placer: Placer, *args: Any, **options: Any) -> Any:
            return await notes.commit(placer, *args, **options)

        async def note(
            link: AmiLink, action: Mapping[str, str | Sequence[str]], *, timeout_s: float | None = None
        ) -> AmiReply:
            return await notes.send(link, action, timeout_s=timeout_s)

        setattr(Placer, "_commit", commit)  # noqa: B010 - mypy knows that a method is not to be assigned
        setattr(AmiLink, "send", note)  # noqa: B010
        _be_the_engine()
        return
    if sys.argv[1] == OVERFLOW:
        build = AmiLink.__init__
        setattr(AmiLink, "__init__", functools.partialmethod(build, queue_size=QUEUE))  # noqa: B010
        _be_the_engine()
        return
    fault = Fault(sys.argv[1], Path(sys.argv[2]))
    signal.signal(signal.SIGUSR1, fault.arm)

    async def send(
        link: AmiLink, action: Mapping[str, str | Sequence[str]], *, timeout_s: float | None = None
    ) -> AmiReply:
        return await fault.send(link, action, timeout_s=timeout_s)

    setattr(AmiLink, "send", send)  # noqa: B010 - mypy knows that a method is not to be assigned
    _be_the_engine()


def _be_the_engine() -> None:
    sys.argv = ["dozvon", "run", "engine"]
    runpy.run_module("dialer", run_name="__main__")


if __name__ == "__main__":
    main()
