"""The voice of all agents' phones of a bench: one UDP socket.

    python -m dialer.bench.load.voice 127.0.0.1 20000

A phone sends 50 packets a second as long as it is in a call, whatever it hears. Here it gives back what it
hears, and sends silence where there is nothing to hear: a customer who hears their own voice has an agent.
A phone is known by the address from which Asterisk sends to it; the first packet to it, be it comfort noise,
makes it begin.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

#: Between two packets of a phone, seconds; samples of one, each a byte of alaw.
TICK_S, FRAME = 0.02, 160
PCMA: Final = 8
#: A byte of alaw that is no sound.
SILENCE: Final = bytes([0xD5]) * FRAME
#: Who was heard so many ticks ago still speaks: a packet may be late.
LATE = 3
#: A phone to which nothing has come for so many ticks is in no call any more.
GONE = 500
_HEADER: Final = struct.Struct(">BBHII")


@dataclass(slots=True)
class Phone:
    """One phone in a call."""

    ssrc: int
    #: ticks at which a packet came last, and voice
    heard_at: int
    voice_at: int = -LATE
    #: of the packets that it sends
    sequence: int = 0
    stamp: int = 0

    def packet(self, payload: bytes) -> bytes:
        """Its next packet."""
        header = _HEADER.pack(0x80, PCMA, self.sequence, self.stamp, self.ssrc)
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.stamp = (self.stamp + FRAME) & 0xFFFFFFFF
        return header + payload


@dataclass(slots=True)
class Phones:
    """Those that are in calls, by the address of Asterisk's end."""

    socket: socket.socket
    known: dict[tuple[str, int], Phone] = field(default_factory=dict)
    _made: int = 0

    def hear(self, tick: int) -> None:
        """Take what has come, and give it back."""
        receive, send, known = self.socket.recvfrom, self.socket.sendto, self.known
        while True:
            try:
                packet, peer = receive(2_048)
            except BlockingIOError:
                return
            phone = known.get(peer)
            if phone is None:
                self._made += 1
                phone = known[peer] = Phone(self._made, tick)
            phone.heard_at = tick
            if len(packet) > _HEADER.size and packet[1] & 0x7F == PCMA:
                phone.voice_at = tick
                try:  # noqa: SIM105 - a context for each packet costs as much as all else here
                    send(phone.packet(packet[_HEADER.size :]), peer)
                except OSError:  # a full buffer: a packet less
                    pass

    def be_silent(self, tick: int) -> None:
        """Send silence from all who hear nothing."""
        for peer, phone in list(self.known.items()):
            if tick - phone.heard_at > GONE:
                del self.known[peer]
            elif tick - phone.voice_at > LATE:
                with contextlib.suppress(OSError):
                    self.socket.sendto(phone.packet(SILENCE), peer)


def main(argv: Sequence[str]) -> None:
    """Be the phones' voice until killed."""
    host, port = argv
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_000_000)
        line.bind((host, int(port)))
        line.setblocking(False)
        phones, began, tick = Phones(line), time.monotonic(), 0
        while True:
            phones.hear(tick)
            phones.be_silent(tick)
            tick = max(tick + 1, int((time.monotonic() - began) / TICK_S))
            time.sleep(max(0.0, began + tick * TICK_S - time.monotonic()))


if __name__ == "__main__":
    main(sys.argv[1:])
