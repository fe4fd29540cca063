"""What decides in the simulator how many calls are placed: what it may look at, and what it is told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple, Protocol
from uuid import UUID

from dialer.pacing.simulator.world import ALIKE, Fate, Habit, Lead, World

#: What a call's number is in its id: calls have other ids than agents.
CALL_IDS: Final = 1 << 64


class Seat:
    """An agent, as the server knows it."""

    __slots__ = (
        "away",
        "break_at",
        "called",
        "number",
        "shown",
        "since_s",
        "since_wall",
        "state",
        "talk_ends",
        "talk_factor",
        "wrap_factor",
    )

    def __init__(self, number: int, wall: datetime, habit: Habit = ALIKE) -> None:
        self.number = number
        #: by how much its talks and wrap-ups are longer than the world's: no rule looks at it
        self.talk_factor, self.wrap_factor = habit
        #: `ready`, `reserved`, `talking`, `wrap_up`, or `away`: not in the pool
        self.state = "away"
        self.since_s = 0.0
        self.since_wall = wall
        #: a rule's own picture of it, dropped at each change
        self.shown: object | None = None
        #: which call it is; grows with each
        self.called = 0
        #: shall leave after this call
        self.away = False
        self.break_at = float("inf")
        #: when it will be ready again, s; only a bound may look at it
        self.talk_ends = 0.0


class Call:
    """A call that has no agent yet, as the server knows it."""

    __slots__ = (
        "answered_wall", "chance", "created_wall", "deadline_s", "dialled_s", "fate", "heard_s", "id",
        "lead", "number", "ringing_wall", "shown", "state",
    )  # fmt: skip

    def __init__(self, number: int, lead: Lead, fate: Fate, dialled_s: float, wall: datetime) -> None:
        self.number = number
        #: the same as `plan` knows it
        self.id = UUID(int=CALL_IDS + number)
        self.lead = lead
        #: what it will come to: no rule looks at it
        self.fate = fate
        #: `dialling`, `ringing`, `screening` or `waiting`; `over`
        self.state = "dialling"
        self.dialled_s = dialled_s
        self.created_wall = wall
        self.ringing_wall: datetime | None = None
        self.answered_wall: datetime | None = None
        #: what the rule gave its answer when it was dialled
        self.chance: float | None = None
        self.heard_s = 0.0
        self.deadline_s = 0.0
        self.shown: object | None = None


class View(Protocol):
    """What a rule may look at."""

    @property
    def world(self) -> World:
        """What is assumed."""
        ...

    @property
    def now(self) -> float:
        """Real seconds from the start."""
        ...

    @property
    def seats(self) -> Sequence[Seat]:
        """The agents in the pool."""
        ...

    @property
    def ready(self) -> Mapping[int, Seat]:
        """Those who are free, longest idle first."""
        ...

    @property
    def calls(self) -> Mapping[int, Call]:
        """Those without an agent, in the order of the dials."""
        ...

    @property
    def waiting(self) -> Mapping[int, Call]:
        """Those of them that were answered while no agent was free."""
        ...

    @property
    def staffed(self) -> int:
        """Agents in the pool: ready, in a call or in wrap-up."""
        ...

    @property
    def talking(self) -> int:
        """Agents in a call."""
        ...

    @property
    def wall(self) -> datetime:
        """The server's clock."""
        ...

    @property
    def lines_left(self) -> int:
        """Calls that the trunks can still carry."""
        ...

    @property
    def leads_left(self) -> int | None:
        """Leads on the list, where that is known."""
        ...

    def next_leads(self) -> Iterable[Lead]:
        """Those that would be dialled next."""
        ...


class Decision(NamedTuple):
    """What to do now."""

    dial: int
    #: numbers of calls to take back
    cancel: Sequence[int] = ()


NOTHING = Decision(0)


class Pacer:
    """A rule with all that it remembers; this one never dials."""

    #: looks at each change
    on_change: bool = True
    #: looks at changes of so long together, s; 0: at each by itself
    gather_s: float = 0.0
    #: looks at least so often, s; None: only at changes
    tick_s: float | None = None

    def decide(self, view: View) -> Decision:
        """What to do now."""
        return NOTHING

    def answered(self, view: View, call: Call) -> None:
        """An answer was told."""

    def unanswered(self, view: View, call: Call) -> None:
        """A call ended, and nobody had answered."""

    def machine(self, view: View, call: Call) -> None:
        """The detection takes an answer for a machine."""

    def person(self, view: View, call: Call) -> None:
        """The detection takes an answer for a person, or there is none and all are."""

    def cancelled(self, view: View, call: Call) -> None:
        """A call was taken back."""

    def settled(self, view: View, abandoned: bool) -> None:
        """A person who answered has an agent, or was abandoned."""

    def talk_ended(self, view: View, seat: Seat, talk_s: float) -> None:
        """An agent's talk is over."""

    def wrap_ended(self, view: View, seat: Seat, wrap_s: float) -> None:
        """An agent's wrap-up is over."""

    def forget(self) -> None:
        """All that was learned is lost."""
