"""The server's processes as a bench has them: to be killed, frozen, replaced and started again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dialer.errors import DozvonError, ProcessFell
from dialer.processes import last_lines

#: Between two looks at what nothing tells of: the database's rows, a log, another process.
LOOK_S = 0.05
_STOP_S = 15.0


class NotInTime(DozvonError):
    """Not within {seconds} s: {what}."""

    id = "not-in-time"


async def until(
    what: str, check: Callable[[], Awaitable[Any]], within_s: float, look_s: float = LOOK_S
) -> Any:
    """Look until `check()` gives something true, and return that. Raises NotInTime."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while not (found := await check()):
        if loop.time() > deadline:
            raise NotInTime(what=what, seconds=f"{within_s:g}")
        await asyncio.sleep(look_s)  # what is looked at tells nobody
    return found


@contextlib.contextmanager
def stopped(pids: Sequence[int]) -> Iterator[None]:
    """Inside the block none of these processes runs (SIGSTOP), and nobody is told so."""
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):  # somebody has ended it meanwhile
                os.kill(pid, signal.SIGCONT)


@dataclass(slots=True)
class Part:
    """One process of the server (`engine`, `web`, `jobs`), or a program in its place.

    It dies with this process, whatever ends that, as the server's own do.
    """

    name: str
    #: all of it: nothing is inherited beside it
    environment: Mapping[str, str]
    #: where its log goes; it grows over all starts
    log_path: Path
    #: how often it was started
    starts: int = 0
    #: what it said when it was ready
    said: Mapping[str, Any] = field(default_factory=dict)
    _process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """Of the running process."""
        alive = self._process is not None and self._process.returncode is None
        return self._process.pid if alive and self._process is not None else None

    async def start(self, argv: Sequence[str] = (), *, within_s: float = 60.0) -> None:
        """Start it and return when it says that it is ready; `argv` is a program in its place (the words
        after Python's own name). One that runs already is an error of the caller's.

        Raises ProcessFell.
        """
        assert self.pid is None, f"{self.name} runs"
        words = tuple(argv) or ("-m", "dialer", "run", self.name)
        with self.log_path.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, *words),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=self.environment,
                start_new_session=True,
            )
        self.starts += 1
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(within_s):
                line = await self._process.stdout.readline()
        except TimeoutError:
            await self.kill()
            late = f"not ready within {within_s:g} s"
            raise ProcessFell(self.name, late, last_lines(self.log_path)) from None
        if not line:
            code = await self._process.wait()
            raise ProcessFell(self.name, code, last_lines(self.log_path))
        self.said = json.loads(line)

    async def kill(self) -> None:
        """kill -9, and wait until it is gone. One that does not run: nothing."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def stop(self) -> None:
        """End it in good order."""
        if self._process is None:
            return
        self.thaw()
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(_STOP_S):
                await self._process.wait()
        except TimeoutError:
            await self.kill()

    async def gone(self, within_s: float) -> None:
        """Wait until it has ended by itself, as a program in its place may. Raises NotInTime."""
        if self._process is None:
            return
        try:
            async with asyncio.timeout(within_s):
                await self._process.wait()
        except TimeoutError:
            raise NotInTime(what=f"{self.name} ends", seconds=f"{within_s:g}") from None

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; one that has gone meanwhile needs none."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    def freeze(self) -> None:
        """It stands still (SIGSTOP) with all that it holds: sockets, locks, memory."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on (SIGCONT), not knowing that it stood still."""
        self.signal(signal.SIGCONT)

    def rss_bytes(self) -> int:
        """Its memory in RAM, bytes (proc(5), statm). Raises FileNotFoundError when it has gone."""
        pages = Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def files(self) -> int:
        """How many file descriptors it has open. Raises FileNotFoundError when it has gone."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))  # noqa: PTH208 - a count of names, no paths

    def last_words(self, lines: int = 5) -> str:
        """The end of its log."""
        return last_lines(self.log_path, lines)
