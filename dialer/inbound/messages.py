"""Records what people leave for later: the verb `voicemail`.

The message's row stands before the tone. Who ends the message by putting the phone down, as most do, has left
it: Asterisk keeps the channel until our session ends, so the call's result is told before its end is.
"""

from __future__ import annotations

import asyncio
import math
import sys
from array import array
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog

from dialer.asterisk.agi_codec import AgiReply
from dialer.asterisk.fastagi import AgiCall
from dialer.calls.model import Call, Result, Served
from dialer.calls.table import CallTable
from dialer.clock import utc_now
from dialer.db.session import Database
from dialer.errors import AgiHangup
from dialer.ids import new_id
from dialer.inbound.leading import Visit
from dialer.inbound.patience import patiently
from dialer.recordings.recorder import BYTES_A_SECOND, make_day, relative_path, whole_within
from dialer.recordings.waveform import HEADER
from dialer.voicemail import store
from dialer.voicemail.model import is_empty
from ivr_flows.model import Came, Event, Failed, Voicemail

log = structlog.get_logger(__name__)

#: The key that ends a message, as everywhere.
END_KEY = "#"
#: Beyond the longest message: the tone, and what a busy Asterisk needs.
SLACK_S = 30.0
#: What Asterisk says of a recording without a sample.
NOTHING = "endpos=0"


@dataclass(slots=True)
class Messages:
    """The messages that are being left."""

    database: Database
    calls: CallTable
    #: of recordings
    folder: Path

    async def take(self, agi: AgiCall, visit: Visit, action: Voicemail) -> Event:
        """Sound the tone and record until a silence, the key #, the longest time or the end of the call.
        Raises AgiHangup."""
        call, now = visit.line.call, utc_now()
        path = relative_path(call.attempt_id, now, new_id())
        message_id = await patiently(agi, lambda: self._begin(call, action.box, path, now))
        file = self.folder / path
        await asyncio.to_thread(make_day, self.folder, path)
        try:
            reply = await self._record(agi, file, action)
        except AgiHangup:  # Asterisk is gone, or was when it was asked
            reply = None
        hung_up = reply is None or reply.value == "hangup" or agi.hung_up.is_set()
        heard = await self._kept(visit, message_id, file, silent=reply is not None and reply.text == NOTHING)
        if hung_up:
            if heard:
                self.calls.apply(call.attempt_id, Served(utc_now(), outcome=Result.VOICEMAIL))
            raise AgiHangup(command="RECORD FILE")
        if heard is None:
            return Failed("Asterisk has not recorded")
        return Came("done" if heard else "empty")

    async def _begin(self, call: Call, box: str, path: str, now: datetime) -> int:
        async with self.database.tenant(call.tenant_id) as conn:
            return await store.begin(
                conn, call.tenant_id, call.attempt_id, box, path, now, inbound=call.inbound
            )

    async def _record(self, agi: AgiCall, file: Path, action: Voicemail) -> AgiReply:
        tone = ["BEEP"] if action.beep else []
        most_ms, silence = str(round(action.most_s * 1000)), f"s={math.ceil(action.silence_s)}"
        return await agi.command(
            *("RECORD", "FILE", str(file.with_suffix("")), "wav", END_KEY, most_ms, *tone, silence),
            timeout_s=action.most_s + SLACK_S,
        )

    async def _kept(self, visit: Visit, message_id: int, file: Path, *, silent: bool) -> bool | None:
        """See the file become whole, and throw away one in which nobody says anything: False. None: there is
        none. `silent`: not one sample has come. It is written down with the call's way."""
        length_s = 0.0 if silent else await whole_within(file)
        now, tenant_id = utc_now(), visit.line.call.tenant_id
        if length_s is None:
            visit.unwritten.also.append(lambda conn: store.lose(conn, tenant_id, message_id, now))
            return None
        heard = not (silent or is_empty(await asyncio.to_thread(_samples, file)))
        about = message_id, length_s, HEADER + round(length_s * BYTES_A_SECOND), now
        visit.unwritten.also.append(lambda conn: store.keep(conn, tenant_id, *about, empty=not heard))
        log.info("message_recorded", call=str(visit.line.call.attempt_id), seconds=length_s, heard=heard)
        return heard


def _samples(file: Path) -> array[int]:
    """What a WAV of Asterisk's holds: 16 bits a sample, little-endian."""
    found = array("h", file.read_bytes()[HEADER:])
    if sys.byteorder == "big":
        found.byteswap()
    return found
