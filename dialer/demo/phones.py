"""The phones of the demo's agents: softphones where PJSUA2 is installed, else phones on the carrier.

Both register at the dialer's Asterisk, answer every call at once, talk, and stay up. Softphones run in
processes of their own (`softphone.py`); this module never imports PJSUA2.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import structlog

from dialer.demo.carrier import PHONE_PREFIX, Carrier, CarrierPhone
from dialer.errors import PhonesFailed

log = structlog.get_logger(__name__)

Kind = Literal["softphones", "carrier"]

#: As many as one process can hold, see softphone.py.
PER_PROCESS = 2
#: How long a softphone process may take to hang up, unregister and end, seconds.
_STOP_S = 5.0


@dataclass(frozen=True, slots=True)
class Phone:
    """An agent's phone."""

    #: SIP user name; the name of its endpoint in the dialer's Asterisk.
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Packets:
    """Voice packets of a phone's present call."""

    sent: int
    received: int


class _Backend(Protocol):
    def pids(self) -> list[int]: ...
    async def start(self) -> None: ...
    async def wait_registered(self) -> None: ...
    async def stop(self) -> None: ...
    async def hangup(self, user: str) -> None: ...
    async def unregister(self, user: str) -> None: ...
    async def register(self, user: str) -> None: ...
    async def packets(self, user: str) -> Packets: ...
    async def die(self, user: str) -> None: ...


def available() -> Kind:
    """Which phones this machine can have."""
    return "softphones" if importlib.util.find_spec("pjsua2") else "carrier"


class AgentPhones:
    """Phones that are ready for agents to be logged in at.

    `registrar` is host:port of the dialer's SIP, `carrier` a started carrier: its voice file is what agents
    say. Phones that are `apart` can die: softphones each in a process of its own, phones of the carrier's
    kind together, on one more Asterisk. Without it a carrier can have the phones of one AgentPhones only.
    """

    def __init__(
        self,
        phones: Sequence[Phone],
        *,
        registrar: str,
        carrier: Carrier,
        kind: Kind | None = None,
        apart: bool = False,
    ) -> None:
        self.kind: Kind = kind or available()
        self._backend: _Backend
        if self.kind == "softphones":
            size = 1 if apart else PER_PROCESS
            chunks = [phones[i : i + size] for i in range(0, len(phones), size)]
            self._backend = _Softphones(chunks, registrar, carrier.voices_dir / "agent.wav")
        else:
            self._backend = _CarrierPhones(phones, registrar, carrier, apart=apart)

    @property
    def pids(self) -> list[int]:
        """Their processes, which may be stopped and continued (SIGSTOP): a phone whose network is away.

        Those of the carrier's kind have one that is theirs alone only where they are apart.
        """
        return self._backend.pids()

    @property
    def what(self) -> str:
        """What they are, for a person."""
        if self.kind == "softphones":
            return "PJSUA2 softphones"
        return "phones on the loopback carrier's Asterisk (PJSUA2 has no wheel for this machine)"

    async def start(self) -> None:
        """Start them; they register by themselves. Raises PhonesFailed."""
        await self._backend.start()

    async def wait_registered(self, timeout_s: float = 20.0) -> None:
        """Return when all are registered. Raises PhonesFailed with those that are not."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._backend.wait_registered()
        except TimeoutError:
            raise PhonesFailed(reason=f"some are not registered after {timeout_s:g} s") from None

    async def stop(self) -> None:
        """Hang up, unregister and leave no process."""
        await self._backend.stop()

    async def hangup(self, user: str) -> None:
        """The agent hangs up: the phone sends BYE."""
        await self._backend.hangup(user)

    async def unregister(self, user: str) -> None:
        """The phone leaves in good order: its contact is removed."""
        await self._backend.unregister(user)

    async def register(self, user: str) -> None:
        """The phone comes back."""
        await self._backend.register(user)

    async def packets(self, user: str) -> Packets:
        """Voice packets of its call. Raises PhonesFailed when it has none."""
        return await self._backend.packets(user)

    async def die(self, user: str) -> None:
        """The phone, and every other that shares its process, is gone without a word to anybody."""
        await self._backend.die(user)


class _Softphones:
    def __init__(self, chunks: Sequence[Sequence[Phone]], registrar: str, voice: Path) -> None:
        self._chunks = chunks
        self._registrar = registrar
        self._voice = voice
        self._processes: dict[str, Process] = {}
        self._readers: list[asyncio.Task[None]] = []
        self._registered: set[str] = set()
        #: The last answer to a command, by user: packets, or why it was not done.
        self._answers: dict[str, Packets | str] = {}
        #: Why nothing can be expected of them any more.
        self._failure: str | None = None
        self._changed = asyncio.Condition()
        self._dying: set[Process] = set()

    def pids(self) -> list[int]:
        return sorted({process.pid for process in self._processes.values() if process.returncode is None})

    async def start(self) -> None:
        for chunk in self._chunks:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "dialer.demo.softphone"),
                stdin=PIPE,
                stdout=PIPE,
                start_new_session=True,  # a terminal's Ctrl-C is for the demo, which ends them in order
            )
            self._readers.append(asyncio.create_task(self._read(process)))
            for phone in chunk:
                self._processes[phone.user] = process
            await _write(
                process,
                voice=str(self._voice),
                phones=[
                    {"user": phone.user, "password": phone.password, "registrar": self._registrar}
                    for phone in chunk
                ],
            )

    async def wait_registered(self) -> None:
        async with self._changed:
            await self._changed.wait_for(
                lambda: self._failure is not None or self._processes.keys() <= self._registered
            )
        if self._failure is not None:
            raise PhonesFailed(reason=self._failure)

    async def stop(self) -> None:
        processes = set(self._processes.values())
        self._dying |= processes
        for process in processes:
            if process.stdin is not None:
                process.stdin.close()
        for process in processes:
            try:
                async with asyncio.timeout(_STOP_S):
                    await process.wait()
            except TimeoutError:
                log.warning("phones.killed", pid=process.pid)
                process.kill()
                await process.wait()
        await asyncio.gather(*self._readers)
        self._processes.clear()
        self._readers.clear()
        self._registered.clear()

    async def hangup(self, user: str) -> None:
        await self._tell("hangup", user)

    async def unregister(self, user: str) -> None:
        await self._tell("unregister", user)

    async def register(self, user: str) -> None:
        await self._tell("register", user)

    async def packets(self, user: str) -> Packets:
        self._answers.pop(user, None)
        await self._tell("stats", user)
        async with asyncio.timeout(_STOP_S), self._changed:
            await self._changed.wait_for(lambda: user in self._answers or self._failure is not None)
        answer = self._answers.get(user, self._failure or "")
        if not isinstance(answer, Packets):
            raise PhonesFailed(reason=answer)
        return answer

    async def die(self, user: str) -> None:
        process = self._processes[user]
        self._dying.add(process)
        await self._tell("die", user)
        await process.wait()

    async def _tell(self, what: str, user: str) -> None:
        await _write(self._processes[user], do=what, user=user)

    async def _read(self, process: Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            event = _event(line)
            log.debug("phones.said", **{f"phone_{name}": value for name, value in event.items()})
            async with self._changed:
                self._apply(event)
                self._changed.notify_all()
        code = await process.wait()
        async with self._changed:
            for user, of in self._processes.items():
                if of is process:
                    self._registered.discard(user)
            if process not in self._dying:
                self._failure = f"a softphone process ended by itself with {code}"
            self._changed.notify_all()

    def _apply(self, event: dict[str, object]) -> None:
        user = str(event.get("user", ""))
        match event["event"]:
            case "registration" if event["registered"]:
                self._registered.add(user)
            case "registration":
                self._registered.discard(user)
            case "stats":
                self._answers[user] = Packets(int(str(event["sent"])), int(str(event["received"])))
            case "error" if user:
                log.warning("phones.failed", user=user, reason=event["reason"])
                self._answers[user] = str(event["reason"])
            case "error":
                self._failure = str(event["reason"])


class _CarrierPhones:
    def __init__(self, phones: Sequence[Phone], registrar: str, carrier: Carrier, *, apart: bool) -> None:
        self._phones = phones
        self._registrar = registrar
        self._apart = apart
        #: Its Asterisk runs and has them.
        self._live = False
        self._carrier = carrier.beside(f"phones-{phones[0].user}") if apart else carrier

    def pids(self) -> list[int]:
        pid = self._carrier.pid if self._apart else None
        return [pid] if pid is not None else []

    async def start(self) -> None:
        if self._apart:
            await self._carrier.start()
        try:
            await self._carrier.set_phones(
                [CarrierPhone(phone.user, phone.password, self._registrar) for phone in self._phones]
            )
        except ValueError as error:
            raise PhonesFailed(reason=str(error)) from error
        self._live = True

    async def wait_registered(self) -> None:
        wanted = {phone.user for phone in self._phones}
        await _poll(lambda: self._all_registered(wanted))

    async def stop(self) -> None:
        if self._live:
            self._live = False
            for phone in self._phones:
                await self.hangup(phone.user)
            await self._carrier.cli("pjsip send unregister *all")
            try:
                async with asyncio.timeout(_STOP_S):
                    await _poll(self._none_registered)
            except TimeoutError:
                log.warning("phones.still_registered")
            await self._carrier.set_phones(())
        if self._apart:
            await self._carrier.stop()

    async def hangup(self, user: str) -> None:
        for channel in await self._channels(user):
            await self._carrier.cli(f"channel request hangup {channel}")

    async def unregister(self, user: str) -> None:
        await self._carrier.cli(f"pjsip send unregister {PHONE_PREFIX}{user}")

    async def register(self, user: str) -> None:
        await self._carrier.cli(f"pjsip send register {PHONE_PREFIX}{user}")

    async def packets(self, user: str) -> Packets:
        for channel in await self._channels(user):
            said = await self._carrier.cli(f"pjsip show channelstats like {channel}")
            for line in said.splitlines():
                if " alaw " in line:
                    # ... count, lost, percent, jitter of each direction; round trip
                    received, *_, sent, _, _, _, _ = line.split()[-9:]
                    return Packets(int(sent), int(received))
        raise PhonesFailed(reason=f"{user} has no call")

    async def die(self, user: str) -> None:
        if not self._apart:
            raise PhonesFailed(reason=f"{user} is on the carrier's own Asterisk")
        self._live = False
        self._carrier.kill()

    async def _channels(self, user: str) -> list[str]:
        said = await self._carrier.cli("core show channels concise")
        names = (line.split("!")[0] for line in said.splitlines())
        return [name for name in names if name.startswith(f"PJSIP/{PHONE_PREFIX}{user}-")]

    async def _none_registered(self) -> bool:
        return not await self._carrier.registered_phones()

    async def _all_registered(self, wanted: set[str]) -> bool:
        return wanted <= await self._carrier.registered_phones()


def _event(line: bytes) -> dict[str, object]:
    """A line that a softphone process has written; one that is no event is told as an error."""
    try:
        event = json.loads(line)
    except ValueError:
        event = None
    if isinstance(event, dict) and "event" in event:
        return event
    return {"event": "error", "reason": f"a softphone process wrote {line[:200]!r}"}


async def _poll(true: Callable[[], Awaitable[bool]]) -> None:
    # The carrier has no manager interface that would tell us: its console is asked.
    while not await true():  # noqa: ASYNC110
        await asyncio.sleep(0.2)


async def _write(process: Process, **line: object) -> None:
    assert process.stdin is not None
    # One that has ended is told of by its reader.
    with contextlib.suppress(ConnectionError):
        process.stdin.write((json.dumps(line) + "\n").encode())
        await process.stdin.drain()
