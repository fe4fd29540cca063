"""SIPp as carrier and as agents' phones (their voice is `voice.py`): it costs little, and it is not ours.

Debian's package, unpacked without root where the machine has none. Everything binds to 127.0.0.1.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from socket import SOCK_DGRAM

from dialer.bench.load import scenarios
from dialer.debian import packages
from dialer.debian.packages import PackageSet, Progress
from dialer.errors import PartMissing, PhonesFailed
from dialer.ports import free_port

PACKAGES = PackageSet(
    name="sipp",
    packages=("sip-tester",),
    suite="host",
    mend="install SIPp (Debian and Ubuntu: apt-get install sip-tester)",
)
HOST = "127.0.0.1"
#: How long SIPp may take to end after it was told to.
STOP_S = 5.0
#: A phone registers again so often, seconds: Asterisk lets it be for twice as long.
REGISTER_S = 30.0
REGISTER_TRIES = 3
#: Seconds of the voice that is played over and over, and its loudness: alaw of a tone of 400 Hz.
VOICE_S, TONE_HZ = 4, 400


async def find(packages_dir: Path, progress: Progress = packages.silent) -> list[str]:
    """The start of SIPp's command line. Raises PartMissing."""
    if installed := shutil.which("sipp"):
        return [installed]
    unpacked = await asyncio.to_thread(packages.unpack, PACKAGES, packages_dir, progress)
    return unpacked.argv("usr/bin/sipp")


@dataclass(slots=True, kw_only=True)
class Part:
    """A program that plays a part: one that is running, or has not been started."""

    #: the folder of its files, and its name there
    folder: Path
    name: str
    process: asyncio.subprocess.Process | None = field(default=None, repr=False)

    async def run(self, *argv: str, cwd: Path | None = None) -> None:
        """Start it."""
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                cwd=cwd,
                start_new_session=True,
            )

    async def until_done(self, within_s: float) -> None:
        """Wait until it has made its calls. Raises PhonesFailed where one failed or it takes longer."""
        assert self.process is not None
        try:
            async with asyncio.timeout(within_s):
                code = await self.process.wait()
        except TimeoutError:
            await self.stop()
            raise PhonesFailed(reason=f"the program {self.name} did not end in {within_s:g} s") from None
        if code:
            raise PhonesFailed(reason=f"the program {self.name} ended with {code}; see {self.folder}")

    @property
    def pid(self) -> int:
        """Its process id. Raises PhonesFailed when it has ended by itself."""
        if self.process is None or self.process.returncode is not None:
            code = self.process.returncode if self.process else None
            raise PhonesFailed(reason=f"the program {self.name} ended with {code}; see {self.folder}")
        return self.process.pid

    async def stop(self) -> None:
        """End it; its calls end without a word."""
        process = self.process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()  # told to end it would wait for its calls, which are what we want to be rid of
        async with asyncio.timeout(STOP_S):
            await process.wait()


@dataclass(slots=True, kw_only=True)
class Sipp(Part):
    """One SIPp. `start` it, `stop` it."""

    argv: Sequence[str]
    scenario: str
    #: more of the command line
    options: Sequence[str] = ()
    port: int = 0

    async def start(self) -> None:
        """Start it on a free port. Raises PhonesFailed where it ends at once."""
        self.port = self.port or free_port(SOCK_DGRAM)
        path = self.folder / f"{self.name}.xml"
        path.write_text(self.scenario, encoding="ascii")
        await self.run(
            *self.argv,
            *("-sf", str(path), "-i", HOST, "-mi", HOST, "-p", str(self.port)),
            *("-nostdin", "-aa", "-default_behaviors", "all"),
            *("-trace_err", "-error_file", str(self.folder / f"{self.name}.err")),
            *("-error_overwrite", "true", "-max_socket", "50000", "-buff_size", "4000000"),
            *self.options,
            cwd=self.folder,
        )


async def customers(
    argv: Sequence[str],
    folder: Path,
    *,
    ring_s: float,
    talk_s: float,
    media: bool,
    port: int = 0,
) -> Sipp:
    """A carrier whose every number answers after `ring_s`, talks for `talk_s` and hangs up; started."""
    ring_ms, talk_ms = round(ring_s * 1000), round(talk_s * 1000)
    if media:
        voice = folder / "voice.alaw"
        write_voice(voice)
        scenario = scenarios.talking_customer(ring_ms, talk_ms, str(voice))
        options = ["-rtp_threadtasks", "100"]
    else:
        scenario, options = scenarios.silent_customer(ring_ms, talk_ms), []
    made = Sipp(argv=argv, folder=folder, name="customers", scenario=scenario, options=options, port=port)
    await made.start()
    return made


async def ringing(argv: Sequence[str], folder: Path, *, ring_s: float, port: int = 0) -> Sipp:
    """A carrier whose every number rings for `ring_s` and is then busy; started."""
    scenario = scenarios.ringing_number(round(ring_s * 1000))
    made = Sipp(argv=argv, folder=folder, name="ringing", scenario=scenario, port=port)
    await made.start()
    return made


async def phones(
    argv: Sequence[str], folder: Path, users: Sequence[tuple[str, str]], *, registrar_port: int, name: str
) -> list[Part]:
    """Phones of these (user, password) that answer at once and give back what they hear; registered.

    One SIPp cannot both call and be called, so the phones are one and what registers them, again and again
    as phones do, is another; their voice is a third. Raises PhonesFailed.
    """
    port = free_port(SOCK_DGRAM)
    voice = Part(folder=folder, name=f"{name}-voice")
    await voice.run(sys.executable, "-m", "dialer.bench.load.voice", HOST, str(port))
    answering = Sipp(argv=argv, folder=folder, name=name, scenario=scenarios.phone(port))
    await answering.start()
    lines = [
        f"{user};[authentication username={user} password={secret}];{answering.port}"
        for user, secret in users
    ]
    path = folder / f"{name}.csv"
    path.write_text("\n".join(["SEQUENTIAL", *lines]) + "\n", encoding="ascii")

    def registering(which: str, *options: str) -> Sipp:
        where = ("-inf", str(path), f"{HOST}:{registrar_port}")
        return Sipp(
            argv=argv,
            folder=folder,
            name=f"{name}-{which}",
            scenario=scenarios.REGISTER,
            options=(*options, *where),
        )

    try:
        await _register_all(registering, len(users))
    except BaseException:
        await answering.stop()  # nobody else knows of them yet
        await voice.stop()
        raise
    again = registering("again", "-r", str(len(users)), "-rp", str(round(REGISTER_S * 1000)))
    await again.start()
    return [answering, again, voice]


async def _register_all(registering: Callable[..., Sipp], users: int) -> None:
    """Register each phone once. Raises PhonesFailed."""
    for left in reversed(range(REGISTER_TRIES)):
        first = registering("first", "-m", str(users), "-r", "100")
        await first.start()
        try:
            await first.until_done(10 + users / 10)
        except PhonesFailed:  # on a busy machine an answer comes after SIPp has asked again
            if not left:
                raise
        else:
            return
        finally:
            await first.stop()


def write_voice(path: Path) -> None:
    """A tone, as bytes of alaw (ITU-T G.711) at 8000 a second."""
    samples = (round(8000 * math.sin(2 * math.pi * TONE_HZ * n / 8000)) for n in range(8000 * VOICE_S))
    path.write_bytes(bytes(_alaw(sample) for sample in samples))


def _alaw(sample: int) -> int:
    """One sample of 16 bits as A-law, with every other bit turned over as on the wire."""
    sign, sample = (0x80, sample) if sample >= 0 else (0, -sample - 1)
    sample = min(sample, 32767) >> 4
    exponent = max(0, sample.bit_length() - 5)
    mantissa = (sample >> max(1, exponent)) & 0x0F if exponent else (sample >> 1) & 0x0F
    return (sign | (exponent << 4) | mantissa) ^ 0x55


__all__ = ["PACKAGES", "Part", "PartMissing", "Sipp", "customers", "find", "phones", "ringing"]
