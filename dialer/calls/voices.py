"""Whether the agents' phones still send voice: who has no network any more says no good-bye.

A phone that ends, unregisters or logs out is known at once. One whose machine or network died is missed by
Asterisk after `rtp_timeout` (5 s: less would end talks at every hiccup), and until then customers would be
dialled for nobody. So the engine looks at the packets that have come of each phone, some times a second; for
a phone of which none has come for a while nobody is dialled, and no customer is given to it. Nothing else
happens: the phone stays connected, and when it is heard again it is part of the work in the same moment.

Of many phones those in talks are looked at less often: nobody is dialled for them, and none is given to them,
before the talk is over.

Only a phone that has sent without a gap before is judged (one that keeps silence to itself, by VAD, never
does), and one that was judged wrongly gets twice the patience for a while. At a phone that is new to us any
gap counts, if it has ever sent, until Asterisk would have ended a dead one: nobody else would say so.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

import structlog

from dialer.asterisk.ami import AmiLink
from dialer.asterisk.nodes import Nodes
from dialer.calls.table import CallTable
from dialer.calls.tracking import Leg, Tracker
from dialer.errors import AsteriskUnavailable

log = structlog.get_logger(__name__)

#: Between two looks, seconds; with many phones longer, so that no more are asked a second than `MOST`.
LOOK_S, MOST = 0.15, 250
#: With more phones than `FEW` one in a talk is looked at each so manieth time.
TALKING_EVERY, FEW = 4, int(LOOK_S * MOST)
#: A phone of which no packet came for so long is silent, seconds (voice comes every 0.02 s); at most, after
#: false alarms.
SILENT_S, SILENT_MOST_S = 0.45, 4.0
#: Looks in a row with new packets after which a phone counts as one that sends without a gap.
STEADY = 8
#: A phone is new whose last packet came within so many seconds of the first look at it; Asterisk has ended a
#: dead one so long after its last packet (`rtp_timeout`, and its own look at that).
NEW_S, ENDED_S = 5.0, 6.5
#: Looks in a row with new packets after which half of the patience that false alarms have lent is taken back.
CALM = 100
#: Without a call for so long nobody is dialled for, and nobody needs to look.
IDLE_S = 5.0
_RECEIVED = "CHANNEL(rtcp,rxcount)"


@dataclass(slots=True)
class Heard:
    """What has been heard of one phone."""

    #: packets that came since it was called
    packets: int
    #: when the last look that found new ones was (monotonic)
    at_s: float
    #: looks in a row that found new ones
    looks: int = 0
    patience_s: float = SILENT_S
    silent: bool = False
    #: when it was first looked at (monotonic)
    since_s: float = -math.inf


def listen(heard: Heard, packets: int, now_s: float) -> Heard:
    """What is known after one more look."""
    if packets != heard.packets:
        looks, patience_s = heard.looks + 1, heard.patience_s
        if heard.silent:
            looks, patience_s = max(looks, STEADY), min(2 * patience_s, SILENT_MOST_S)
        elif looks > CALM:
            looks, patience_s = STEADY, max(patience_s / 2, SILENT_S)
        return replace(heard, packets=packets, at_s=now_s, looks=looks, patience_s=patience_s, silent=False)
    gap_s = now_s - heard.at_s
    new = packets > 0 and heard.at_s - heard.since_s < NEW_S
    judged = heard.looks >= STEADY or (new and gap_s < ENDED_S)
    silent = judged and gap_s >= heard.patience_s
    looks = heard.looks if silent or gap_s < heard.patience_s else 0
    return replace(heard, looks=looks, silent=silent)


def is_due(leg: Leg, turn: int, *, talks: bool, phones: int) -> bool:
    """Whether a phone is asked after in this turn; of many `phones` those in talks take turns."""
    return not talks or phones <= FEW or leg.id.int % TALKING_EVERY == turn % TALKING_EVERY


@dataclass(slots=True)
class Voices:
    """Listens to the phones that one engine knows of."""

    nodes: Nodes
    calls: CallTable
    tracker: Tracker
    _heard: dict[UUID, Heard] = field(default_factory=dict)

    async def run(self) -> None:
        """Look until cancelled."""
        loop = asyncio.get_running_loop()
        busy_s = loop.time()
        turn = 0
        while True:
            links = {node.name: node.link for node in self.nodes if node.ready and node.link.up}
            legs = [leg for leg in self.tracker.legs.values() if leg.up and leg.node in links]
            await asyncio.sleep(max(LOOK_S, len(legs) / MOST))  # packets tell nobody that they came
            if self.calls.lines:
                busy_s = loop.time()
            if loop.time() - busy_s > IDLE_S:
                self._forget(())
                continue
            self._forget(legs)
            turn += 1
            due: dict[str, list[Leg]] = {name: [] for name in links}
            for leg in legs:
                talks = self.calls.of_agent(leg.session_id) is not None
                if is_due(leg, turn, talks=talks, phones=len(legs)):
                    due[leg.node].append(leg)
            try:
                await asyncio.gather(*(self._look(links[name], phones) for name, phones in due.items()))
            except AsteriskUnavailable as error:
                log.info("voices_not_heard", reason=str(error))

    async def _look(self, link: AmiLink, legs: Sequence[Leg]) -> None:
        """Ask a node after these phones, all at once."""
        replies = await link.send_each(
            {"Action": "Getvar", "Channel": str(leg.id), "Variable": _RECEIVED} for leg in legs
        )
        now_s = asyncio.get_running_loop().time()
        for leg, reply in zip(legs, replies, strict=True):
            # None: the channel has gone, its Hangup says so. No number: no voice yet.
            if reply is not None and (value := reply.get("Value")).isdecimal():
                self._take(leg, int(value), now_s)

    def _take(self, leg: Leg, packets: int, now_s: float) -> None:
        before = self._heard.get(leg.id) or Heard(packets, now_s, since_s=now_s)
        after = self._heard[leg.id] = listen(before, packets, now_s)
        leg.silent = after.silent
        if after.silent and not before.silent:
            log.warning("phone_silent", agent=leg.agent_id, silent_s=round(now_s - after.at_s, 2))
        elif before.silent and not after.silent:
            log.info("phone_heard_again", agent=leg.agent_id)
            self.tracker.leg_up(leg)

    def _forget(self, legs: Iterable[Leg]) -> None:
        """Keep what is known of these phones only; of the others nothing is held against them."""
        kept = {leg.id for leg in legs}
        for leg_id in self._heard.keys() - kept:
            del self._heard[leg_id]
            if (leg := self.tracker.legs.get(leg_id)) is not None:
                leg.silent = False
