"""Has callers hear what a flow says, and takes the keys that they press, by AGI."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog

from dialer.asterisk.agi_codec import AgiReply
from dialer.asterisk.ami import AmiLink
from dialer.asterisk.fastagi import AgiCall
from dialer.errors import ActionFailed, AgiHangup, AsteriskUnavailable
from dialer.inbound.leading import Visit
from ivr_flows.model import KEYS, Ask, Event, Failed, Nothing, Played, Pressed, Prompt, Say

log = structlog.get_logger(__name__)

#: The longest that a sound may last, seconds: Asterisk answers when it has ended.
SOUND_S = 3_600.0
#: The sound that a hang-up has cut off is told before the hang-up itself: by so many seconds at most.
GONE_S: Final = 1.0
#: How soon a sound that is to end is asked to end again, seconds.
CUT_AGAIN_S: Final = 0.1
#: Of a sound that can be cut: the step of winding, and the keys for it, which no phone has.
_NO_WINDING: Final = ("3000", "A", "B")
#: So much of a question's sounds, as they are told to Read, goes into one command.
READ_BYTES: Final = 1_500
#: Where the keys of a question are put; how Read ended, and the keys, in one question.
_KEYS = "DOZVON_KEYS"
_READ: Final = "${READSTATUS}:${%s}" % _KEYS  # noqa: UP031 - braces of the dialplan's own


class Sounds(Protocol):
    """Where prompts become sounds; that of the prompts' room."""

    async def resolve(self, tenant_id: int, prompts: Iterable[Prompt]) -> tuple[str, ...]:
        """What Asterisk is told to play, in order; what cannot be played is left out."""


@dataclass(slots=True)
class Playing:
    """The verbs that are heard."""

    sounds: Sounds

    async def say(self, agi: AgiCall, visit: Visit, action: Say) -> Event:
        """See `say`."""
        return await say(agi, await self.sounds.resolve(visit.line.call.tenant_id, action.prompts), action)

    async def ask(self, agi: AgiCall, visit: Visit, action: Ask) -> Event:
        """See `ask`."""
        return await ask(agi, await self.sounds.resolve(visit.line.call.tenant_id, action.prompts), action)


async def say(agi: AgiCall, sounds: Sequence[str], wanted: Say) -> Event:
    """Play all of it; a key of `stop_on` breaks in. Raises AgiHangup."""
    for sound in sounds:
        key = await stream(agi, sound, wanted.stop_on)
        if key is None:
            return Failed(f"{sound} cannot be played")
        if key:
            return Pressed(key)
    return Played()


async def ask(agi: AgiCall, sounds: Sequence[str], wanted: Ask) -> Event:
    """Play all of it and take keys, by Asterisk's Read: it reads keys while it plays, and none is lost
    between two of our commands. Raises AgiHangup."""
    before, sounds = _parted(sounds) if wanted.barge_in else (sounds, ())
    first = ""
    for sound in before:
        key = await stream(agi, sound, KEYS if wanted.barge_in else "")
        if key is None:
            return Failed(f"{sound} cannot be played")
        if key:
            first, sounds = key, ()
            break
    if first and first == wanted.until:
        return Nothing()
    if first and wanted.digits == 1:
        return Pressed(first)
    # Read goes by these where it is given no time of its own.
    patience_s = wanted.between_s if first else wanted.first_s
    times = f"TIMEOUT(response)={patience_s:g},TIMEOUT(digit)={wanted.between_s:g}"
    await agi.command("EXEC", "MSet", times)
    ends = f"t({wanted.until})" if wanted.until else "t"
    arguments = [_KEYS, "&".join(sounds), str(wanted.digits - len(first)), ends, "1"]
    await agi.command("EXEC", "Read", ",".join(arguments), timeout_s=SOUND_S)
    status, _, keys = (await agi.evaluate(_READ)).partition(":")
    # That the caller is gone may come behind the reply: who hangs up has not kept silent.
    if agi.hung_up.is_set() or status == "HANGUP":
        raise AgiHangup(command="Read")
    pressed = first + "".join(key for key in keys if key in KEYS)
    return Pressed(pressed) if pressed else Nothing()


def _parted(sounds: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """What is played before, sound by sound, and what Read plays: as much as one command holds. A question of
    many recorded words is longer than that."""
    at, left = len(sounds), READ_BYTES
    while at and (left := left - len(sounds[at - 1].encode()) - 1) >= 0:
        at -= 1
    return sounds[:at], sounds[at:]


async def stream(agi: AgiCall, sound: str, stop_on: str) -> str | None:
    """Play a sound. The key that broke in, empty for none; None: it cannot be played."""
    reply = await agi.command("STREAM", "FILE", sound, stop_on, timeout_s=SOUND_S)
    if reply.text.startswith("endpos=0") and reply.result == "0":
        raise ActionFailed(action="STREAM FILE", reason=f"there is no sound {sound}")
    return await _key(agi, reply, "STREAM FILE")


async def stream_until(
    agi: AgiCall,
    sound: str,
    stop_on: str,
    over: asyncio.Future[Any],
    cut: Callable[[], Awaitable[None]],
) -> str | None:
    """As `stream`, and no longer than until it is `over`: then `cut` asks Asterisk to end what the caller
    hears (`cut_sound`), until it has. Empty then."""
    words = ("CONTROL", "STREAM", "FILE", sound, stop_on, *_NO_WINDING)
    heard = asyncio.create_task(agi.command(*words, timeout_s=SOUND_S))
    try:
        await asyncio.wait({heard, over}, return_when=asyncio.FIRST_COMPLETED)
        while not heard.done():
            await cut()
            # What comes before the sound has begun is heard by nothing.
            await asyncio.wait({heard}, timeout=CUT_AGAIN_S)
    finally:
        heard.cancel()
    return await _key(agi, heard.result(), "CONTROL STREAM FILE")


async def cut_sound(link: AmiLink, channel: str) -> None:
    """Have Asterisk end what `stream_until` plays; where it cannot, the sound goes on to its end."""
    try:
        await link.send({"Action": "ControlPlayback", "Channel": channel, "Control": "stop"})
    except (ActionFailed, AsteriskUnavailable) as error:
        log.warning("sound_not_cut", channel=channel, reason=str(error))


async def _key(agi: AgiCall, reply: AgiReply, command: str) -> str | None:
    """The key that a sound ended with, empty for none; None: it was not played. Raises AgiHangup."""
    if reply.result in ("", "-1"):
        with suppress(TimeoutError):  # what tells why may come behind the reply
            async with asyncio.timeout(GONE_S):
                await agi.hung_up.wait()
            raise AgiHangup(command=command)
        return None
    code = int(reply.result)
    return chr(code) if 0 < code < 128 else ""  # beyond are Asterisk's own: that it was cut
