"""How many AMI events a second a core takes: a bare splitter, panoramisk alone, Dozvon's link.

The same bytes through each, in this process and without a socket, so that only the reading is measured; the
best round of each counts.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Collection
from typing import Final

from panoramisk import Manager
from panoramisk.ami_protocol import AMIProtocol

from dialer.asterisk.ami import Address, AmiLink
from dialer.asterisk.ami_framing import MAX_PACKET
from dialer.asterisk.ami_session import SessionManager
from dialer.bench.load.model import Measured, Say, Wish
from dialer.calls.tracking import EVENTS as WANTED

#: Bytes a read of asyncio's selector loop gives at most.
SEGMENT: Final = 256 * 1024
BANNER: Final = b"Asterisk Call Manager/11.0.0\r\n"

#: The shape of one call's events as Asterisk 22 says them with read=system,call,user, by length.
CHANNEL: Final = (
    "Channel: PJSIP/carrier-0000002a\r\nChannelState: 6\r\nChannelStateDesc: Up\r\n"
    "CallerIDNum: 79161234567\r\n"
    "CallerIDName: Мария\r\nConnectedLineNum: <unknown>\r\nConnectedLineName: <unknown>\r\nLanguage: ru\r\n"
    "AccountCode: \r\nContext: dozvon-customer\r\nExten: s\r\nPriority: 3\r\n"
    "Uniqueid: 4f2c7f0e-3f0c-4d55-9f43-5a8f8a3f7a10\r\nLinkedid: 4f2c7f0e-3f0c-4d55-9f43-5a8f8a3f7a10\r\n"
)
NAMES: Final = (
    *("Newchannel", "DialBegin", "Newstate", "DialState", "DialEnd", "NewConnectedLine", "BridgeEnter"),
    *("BridgeCreate", "NewCallerid", "BridgeLeave", "BridgeDestroy", "HangupRequest", "SoftHangupRequest"),
    *("Hangup", "UserEvent", "DeviceStateChange", "ExtensionStatus", "ContactStatus", "MusicOnHoldStart"),
    *("MusicOnHoldStop", "LocalBridge", "OriginateResponse"),
)
#: What 100 calls a second make Asterisk say.
AT_100_CALLS: Final = 2_000


def segments(events: int) -> list[bytes]:
    """So many events as the bytes that a socket gives."""
    packets = [
        f"Event: {NAMES[i % len(NAMES)]}\r\nPrivilege: call,all\r\nTimestamp: {1767225600 + i / 2000:.6f}\r\n"
        f"{CHANNEL}\r\n"
        for i in range(events)
    ]
    stream = "".join(packets).encode()
    return [stream[at : at + SEGMENT] for at in range(0, len(stream), SEGMENT)]


def bare(parts: list[bytes]) -> int:
    """Split into packets and lines, a dict each, and nothing else."""
    count, tail = 0, b""
    for part in parts:
        *packets, tail = (tail + part).split(b"\r\n\r\n")
        for packet in packets:
            dict(line.split(": ", 1) for line in packet.decode().split("\r\n"))
            count += 1
    return count


def panoramisk(parts: list[bytes]) -> int:
    """panoramisk's own protocol and Manager with one callback."""
    count = 0

    def callback(_manager: object, _event: object) -> None:
        nonlocal count
        count += 1

    manager = Manager()
    manager.register_event("*", callback)
    protocol = AMIProtocol()
    protocol.connection_made(None)
    protocol.factory, protocol.encoding = manager, "utf8"
    protocol.data_received(BANNER)
    for part in parts:
        protocol.data_received(part)
    return count


def link(wanted: Collection[str] | None) -> Callable[[list[bytes]], int]:
    """Dozvon's session and link, up to the consumer's `get_nowait`."""

    def measured(parts: list[bytes]) -> int:
        up = AmiLink(Address("127.0.0.1", 1, "bench", "bench"), queue_size=1_000_000)
        manager = SessionManager(
            "127.0.0.1", 1, wanted=wanted, max_packet=MAX_PACKET, on_login=up._logged_in, on_loss=up._lost
        )
        manager.register_event("*", up._event)
        session = manager.session
        session.data_received(BANNER)
        session.ready = True
        inbox, count = up.inbox, 0
        for part in parts:
            session.data_received(part)
            while not inbox.empty():
                inbox.get_nowait()
                count += 1
        return count

    return measured


WAYS: Final[dict[str, Callable[[list[bytes]], int]]] = {
    "bare_splitter": bare,
    "panoramisk": panoramisk,
    "link": link(None),
    "link_filtered": link(WANTED),
}


def expected(way: str, events: int) -> int:
    """How many of so many events a way is to take: each, or each that is wanted."""
    if way != "link_filtered":
        return events
    return sum(NAMES[i % len(NAMES)] in WANTED for i in range(events))


class Events:
    """The AMI seam against what is below it."""

    name = "events"
    title = (
        "AMI events a second of one core, the same bytes through each: a bare splitter, panoramisk alone, "
        "the server's link with all events and with those it asks for (the others are dropped unparsed)"
    )
    columns = (
        ("events_per_s", "events/s"),
        ("to_bare", "of the bare splitter"),
        ("core_at_100_calls_per_s", "of a core at 100 calls/s"),
        ("taken_share", "share taken"),
    )

    async def measure(self, wish: Wish, say: Say) -> AsyncIterator[Measured]:
        """A measurement a way; all ways take turns, so a busy machine slows all."""
        if all((self.name, way, wish.short) in wish.known for way in WAYS):
            return
        logging.getLogger("panoramisk").setLevel(logging.WARNING)
        events, rounds = (10_000, 2) if wish.short else (40_000, 7)
        parts = segments(events)
        best, taken = dict.fromkeys(WAYS, 0.0), dict.fromkeys(WAYS, 0)
        for _ in range(rounds):
            for name, way in WAYS.items():
                began = time.process_time()
                taken[name] = way(parts)
                best[name] = max(best[name], events / (time.process_time() - began))
            await asyncio.sleep(0)
        for name, rate in best.items():
            due = expected(name, events)
            yield Measured(
                self.name,
                name,
                wish.seed,
                wish.short,
                {
                    "events_per_s": rate,
                    "to_bare": rate / best["bare_splitter"],
                    "core_at_100_calls_per_s": AT_100_CALLS / rate,
                    "taken_share": taken[name] / events,
                },
                broken="" if taken[name] == due else f"{taken[name]} of {due} events came",
            )


EVENTS = Events()
