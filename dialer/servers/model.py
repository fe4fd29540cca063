"""Who owns what among several servers of one database: the rules.

1. A *lease* says which server paces a campaign and answers for its calls, or keeps a tenant's agents' phones
   up. It has a *fencing number*, which grows with each change of hands.
2. Whoever writes for a campaign (a new attempt, the course of a call) reads its lease in the same transaction
   and goes by it: with another server there, or another number, nothing is written.
3. A server is taken for dead when its *beat*, a number it counts up once a second, has stood still for
   `DEAD_AFTER_S` of our own monotonic clock while we saw the database all the time. No wall clock is asked.
4. What a dead server owned is taken by those who live; which of them, each reckons for itself and all find
   the same (`preferred`), so that they need not talk.

And what may be said of a node: its name, the host and the port of its manager interface.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from dialer.errors import Invalid
from dialer.names import NAME

#: Seconds between two beats of a server.
BEAT_S = 1.0
#: A beat that stands still for so long is a dead server's.
DEAD_AFTER_S = 4.5
#: Who has not seen the database for so long does not know how long a beat has stood.
BLIND_AFTER_S = 2.5
#: After the database was away for all, not all find it again in the same second: nobody is dead so soon.
PATIENCE_S = 10.0

_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
#: Longest name of a host (RFC 1035).
_LONGEST_HOST = 253


class LeaseKind(StrEnum):
    """What is owned."""

    #: the pacing of a campaign and all its calls; the key is the campaign's id
    CAMPAIGN = "campaign"
    #: the phones of a tenant's agents; the key is 0
    PHONES = "phones"


@dataclass(frozen=True, slots=True, order=True)
class LeaseKey:
    """One thing to be owned."""

    tenant_id: int
    kind: LeaseKind
    #: the campaign's id, or 0
    key: int


@dataclass(frozen=True, slots=True)
class Lease:
    """Who owns it, as its row stands."""

    of: LeaseKey
    server: str
    #: grows with each change of hands
    fence: int


@dataclass(frozen=True, slots=True)
class Beat:
    """What a server last said of itself."""

    server: str
    #: the how manieth start of the server it is
    epoch: int
    #: counts up while it lives
    beat: int
    #: it has said that it ends
    stopped: bool
    #: its user at Asterisk's manager interface
    ami_user: str


@dataclass(slots=True)
class Watch:
    """One server's view of the others' lives."""

    #: who watches
    name: str
    #: server -> its epoch and beat, and when we first saw just these (monotonic seconds)
    _seen: dict[str, tuple[int, int, float]] = field(default_factory=dict)
    _looked_s: float | None = None
    _patient_until_s: float = 0.0

    def look(self, beats: Iterable[Beat], now_s: float) -> frozenset[str]:
        """The servers that are dead, given what all of them say at `now_s`."""
        if self._looked_s is not None and now_s - self._looked_s > BLIND_AFTER_S:
            self._seen.clear()  # they may have spoken while we did not look
            self._patient_until_s = now_s + PATIENCE_S
        self._looked_s = now_s
        dead = set[str]()
        for each in beats:
            if each.server == self.name:
                continue
            epoch, beat, since_s = self._seen.get(each.server, (-1, -1, now_s))
            if (epoch, beat) != (each.epoch, each.beat):
                since_s = now_s
            self._seen[each.server] = (each.epoch, each.beat, since_s)
            stands = now_s - since_s >= DEAD_AFTER_S and now_s >= self._patient_until_s
            if each.stopped or stands:
                dead.add(each.server)
        return frozenset(dead)


def preferred(of: LeaseKey, servers: Collection[str]) -> str:
    """Which of the living servers takes it: the same for all who ask, and evenly spread.

    The highest random weight of Thaler and Ravishankar (1998): when one server goes, only what it owned
    moves.
    """

    def weight(server: str) -> bytes:
        words = f"{server} {of.tenant_id} {of.kind} {of.key}"
        return hashlib.blake2b(words.encode(), digest_size=16).digest()

    return max(servers, key=weight)


def to_take(
    me: str, wanted: Iterable[LeaseKey], held: Iterable[Lease], living: Collection[str]
) -> list[LeaseKey]:
    """What `me` should take now: of what is wanted and nobody living owns, what falls to us.

    `living` are the servers that are not dead, `me` among them.
    """
    owner = {lease.of: lease.server for lease in held}
    return sorted(of for of in wanted if owner.get(of) not in living and preferred(of, living) == me)


def check_node(name: str, host: str, port: int) -> None:
    """See that a node may be called so and be there. Raises Invalid, with the field and how to mend it."""
    if not re.fullmatch(NAME, name):
        raise Invalid(
            field="name",
            reason=f"{name!r} is no name of a node: take up to 64 letters, digits, and . _ - after the first",
        )
    if not _is_host(host):
        raise Invalid(
            field="host", reason=f"{host!r} is no host: give a name such as pbx.example.com, or an IP address"
        )
    if not 1 <= port <= 65535:
        raise Invalid(
            field="port",
            reason=f"{port} is no TCP port: give 1 to 65535; Asterisk's manager listens on 5038 by default",
        )


def _is_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        labels = host.removesuffix(".").split(".")
        # What ends in a number is meant as an address (RFC 3696), and is none.
        named = all(_LABEL.fullmatch(label) for label in labels) and not labels[-1].isdecimal()
        return named and len(host) <= _LONGEST_HOST
    # A zone is known to one machine only, and Python takes anything for one.
    return "%" not in host
