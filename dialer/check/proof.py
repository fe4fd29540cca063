"""The proof call: Asterisk calls itself, asks the server, plays a sound and records.

One call of a second, with no phone in it, shows what looks at settings cannot: that the dialplan reaches the
server's FastAGI, that Asterisk reads the folder of sounds and writes into that of recordings, and that events
come back.
"""

from __future__ import annotations

import asyncio
import wave
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from dialer.asterisk.ami import AmiEvent, AmiLink, LinkDown, variable
from dialer.asterisk.fastagi import AgiCall, FastAgiServer
from dialer.check import needs
from dialer.check.model import Finding, Findings, fail, names, ok, warn
from dialer.errors import ActionFailed, AsteriskUnavailable
from dialer.settings import Settings

ROUTE = "check"
#: Asterisk gives up on a FastAGI server that is not there after some seconds.
CALL_S = 15.0
#: The recorder writes the end of its file after the call goes on.
FILE_S = 2.0
SOUND_S = 0.3
_RATE = 8000


async def answer(call: AgiCall) -> None:
    """What the server answers to the check's call; the engine has it too."""
    await call.set_variable("DOZVON_NEXT", "ok")


@dataclass(slots=True)
class Proof:
    """What the call has shown."""

    #: Where the dialplan was told to ask.
    address: str
    #: It came to its end and told of itself.
    ended: bool = False
    #: Why it could not begin.
    refused: str = ""
    #: AGISTATUS: SUCCESS, FAILURE, ...
    agi: str = ""
    #: What the server said: ok; empty when it was not ours, or none.
    said: str = ""
    #: PLAYBACKSTATUS: SUCCESS, FAILED
    playback: str = ""
    #: The recording's bytes, as we see them.
    recorded: int = 0
    #: Names of events that came.
    heard: set[str] = field(default_factory=set)


async def look(settings: Settings, link: AmiLink, *, served: bool) -> Findings:
    """Make the call and judge it. The engine answers it while the server runs, else a stand-in does."""
    try:
        async with _answered(settings, served=served) as address:
            made = await _call(settings, link, address)
    except AsteriskUnavailable as error:
        mend = "set DOZVON_AGI_HOST to an address of this machine and DOZVON_AGI_PORT to a free port"
        yield fail("FastAGI", str(error.details["reason"]), mend)
        return
    except ActionFailed as error:
        yield fail("FastAGI", str(error), "mend what stands above, then run this check again")
        return
    except OSError as error:
        yield fail("sounds", f"{error.filename}: {error.strerror}", "let the server's user write there")
        return
    yield judge_agi(made, served=served)
    if made.ended:
        yield judge_sounds(made, settings)
        yield judge_recordings(made, settings)
        yield judge_filter(made)


@asynccontextmanager
async def _answered(settings: Settings, *, served: bool) -> AsyncIterator[str]:
    """The address to tell the dialplan; somebody answers there."""
    if served:
        yield settings.agi_address or f"{settings.agi_host}:{settings.agi_port}"
        return
    server = FastAgiServer(settings.agi_host, settings.agi_port)
    server.route(ROUTE, answer)
    await server.start()
    try:
        yield settings.agi_address or server.address
    finally:
        await server.close()


async def _call(settings: Settings, link: AmiLink, address: str) -> Proof:
    made = Proof(address)
    token = uuid4().hex
    recording = settings.recording_dir / f".check-{token}.wav"
    recording.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _sound(settings.prompts_dir, token) as sound:
        while not link.inbox.empty():
            link.inbox.get_nowait()
        try:
            await link.send(
                {
                    "Action": "Originate",
                    "Channel": "Local/s@dozvon-check/n",
                    "ChannelId": f"check-{token}",
                    "OtherChannelId": f"check-{token}-2",
                    "Application": "Wait",
                    "Data": str(int(CALL_S)),
                    "Timeout": str(int(CALL_S * 1000)),
                    "Async": "true",
                    "Variable": [
                        variable("DOZVON_AGI", address),
                        variable("DOZVON_CHECK", token),
                        variable("DOZVON_SOUND", str(sound.with_suffix(""))),
                        variable("DOZVON_FILE", str(recording)),
                    ],
                }
            )
            async with asyncio.timeout(CALL_S):
                await _listen(link, made, token)
        except TimeoutError:
            made.refused = f"it did not end in {CALL_S:g} s"
        finally:
            made.recorded = await _size(recording) if made.ended else 0
            await asyncio.to_thread(recording.unlink, missing_ok=True)
    return made


async def _listen(link: AmiLink, made: Proof, token: str) -> None:
    while not made.ended and not made.refused:
        event = await link.inbox.get()
        if isinstance(event, LinkDown):
            raise AsteriskUnavailable(reason=event.reason)
        if not isinstance(event, AmiEvent):
            continue
        made.heard.add(event.name)
        if event.name == "UserEvent" and event.get("Check") == token:
            made.agi, made.said = event.get("Agi"), event.get("Next")
            made.playback = event.get("Playback")
            made.ended = True
        elif event.name == "Hangup" and event.get("Uniqueid") == f"check-{token}":
            made.refused = "it ended before its time"


async def _size(path: Path) -> int:
    """Bytes of a file that another program has just closed; a network folder shows it late."""
    for _ in range(int(FILE_S / 0.1)):
        size = await asyncio.to_thread(lambda: path.stat().st_size if path.is_file() else 0)
        if size:
            return size
        await asyncio.sleep(0.1)  # nothing tells of a file on another machine
    return 0


@contextmanager
def _sound(folder: Path, token: str) -> Iterator[Path]:
    """A moment of silence where messages are put."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"check-{token}.wav"
    try:
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(_RATE)
            file.writeframes(bytes(2 * int(SOUND_S * _RATE)))
        yield path
    finally:
        path.unlink(missing_ok=True)


# -- judgement --------------------------------------------------------------------------------------------


def judge_agi(made: Proof, *, served: bool) -> Finding:
    """Did the dialplan reach the server?"""
    if not made.ended:
        return fail("FastAGI", f"the proof call failed: {made.refused}", "mend what stands above")
    if made.agi == "SUCCESS" and made.said == "ok":
        return ok("FastAGI", f"the dialplan reaches agi://{made.address}")
    reach = "set DOZVON_AGI_ADDRESS to the host:port by which Asterisk reaches this machine"
    if made.agi == "SUCCESS":
        return fail("FastAGI", f"something else answers at agi://{made.address}", reach)
    if served:
        reach += ", and see in the log that the engine runs"
    return fail("FastAGI", f"the dialplan does not reach agi://{made.address} ({made.agi})", reach)


def judge_sounds(made: Proof, settings: Settings) -> Finding:
    """Could Asterisk play a file that we put there?"""
    folder = settings.prompts_dir
    if made.playback == "SUCCESS":
        return ok("messages", f"Asterisk plays from {folder}")
    return fail(
        "messages",
        f"Asterisk cannot play from {folder}",
        "let Asterisk's user read it (every folder above it too); on two machines share it under one path "
        "and set DOZVON_SOUNDS_DIR",
    )


def judge_recordings(made: Proof, settings: Settings) -> Finding:
    """Did the recording arrive where we look for it?"""
    folder = settings.recording_dir
    if made.recorded:
        return ok("recordings", f"Asterisk records into {folder}")
    return fail(
        "recordings",
        f"Asterisk cannot record into {folder}",
        "let Asterisk's user write there; on two machines share it under one path and set "
        "DOZVON_RECORDINGS_DIR",
    )


def judge_filter(made: Proof) -> Finding:
    """Is what nobody reads kept back?"""
    if noise := needs.FILTERED & made.heard:
        return warn(
            "event filter",
            f"{names(noise)} events come, which cost both sides time",
            "give the user of manager.conf the eventfilter of asterisk_conf/external/manager_dozvon.conf",
        )
    return ok("event filter", f"keeps back {names(needs.FILTERED)}")
