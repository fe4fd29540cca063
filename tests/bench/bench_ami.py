"""How many AMI events a second a core takes: a bare splitter, panoramisk alone, Dozvon's link.

    python tests/bench/bench_ami.py [--events N] [--rounds N]

The same bytes through each, in this process and without a socket, so that only the reading is measured; the
best round of each counts. Prints one line each, and JSON on the last.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import time
from collections.abc import Callable

import structlog
from panoramisk import Manager
from panoramisk.ami_protocol import AMIProtocol

from dialer.asterisk.ami import Address, AmiLink
from dialer.asterisk.ami_framing import MAX_PACKET
from dialer.asterisk.ami_session import SessionManager

#: Bytes a read of asyncio's selector loop gives at most.
SEGMENT = 256 * 1024
BANNER = b"Asterisk Call Manager/11.0.0\r\n"

#: The shape of one call's events as Asterisk 22 says them with read=system,call,user, by length.
CHANNEL = (
    "Channel: PJSIP/carrier-0000002a\r\nChannelState: 6\r\nChannelStateDesc: Up\r\n"
    "CallerIDNum: 79161234567\r\n"
    "CallerIDName: Мария\r\nConnectedLineNum: <unknown>\r\nConnectedLineName: <unknown>\r\nLanguage: ru\r\n"
    "AccountCode: \r\nContext: dozvon-customer\r\nExten: s\r\nPriority: 3\r\n"
    "Uniqueid: 4f2c7f0e-3f0c-4d55-9f43-5a8f8a3f7a10\r\nLinkedid: 4f2c7f0e-3f0c-4d55-9f43-5a8f8a3f7a10\r\n"
)
NAMES = (
    *("Newchannel", "DialBegin", "Newstate", "DialState", "DialEnd", "NewConnectedLine", "BridgeEnter"),
    *("BridgeCreate", "NewCallerid", "BridgeLeave", "BridgeDestroy", "HangupRequest", "SoftHangupRequest"),
    *("Hangup", "UserEvent", "DeviceStateChange", "ExtensionStatus", "ContactStatus", "MusicOnHoldStart"),
    *("MusicOnHoldStop", "LocalBridge", "OriginateResponse"),
)
#: What the engine needs of these.
WANTED = {
    "DialBegin",
    "DialEnd",
    "Newstate",
    "BridgeEnter",
    "BridgeLeave",
    "Hangup",
    "UserEvent",
    "ContactStatus",
}


def segments(events: int) -> list[bytes]:
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


def link(wanted: set[str] | None) -> Callable[[list[bytes]], int]:
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


async def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    logging.getLogger("panoramisk").setLevel(logging.WARNING)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    parts = segments(args.events)
    wanted_share = sum(name in WANTED for name in NAMES) / len(NAMES)
    ways: dict[str, Callable[[list[bytes]], int]] = {
        "bare_splitter": bare,
        "panoramisk": panoramisk,
        "link": link(None),
        "link_filtered": link(WANTED),
    }
    best = dict.fromkeys(ways, 0.0)
    for _ in range(args.rounds):
        for name, way in ways.items():
            started = time.process_time()
            taken = way(parts)
            seconds = time.process_time() - started
            assert taken == args.events or (name == "link_filtered" and taken < args.events), (name, taken)
            best[name] = max(best[name], args.events / seconds)
    for name, rate in best.items():
        print(f"{name:15} {rate:10,.0f} events/s   {2_000 / rate:6.1%} of a core at 2,000 events/s")
    print(
        json.dumps(
            {name: round(rate) for name, rate in best.items()} | {"wanted_share": round(wanted_share, 2)}
        )
    )


if __name__ == "__main__":
    asyncio.run(main())
