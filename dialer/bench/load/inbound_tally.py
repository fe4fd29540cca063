"""Calls that came in, held against the callers' own log: what was lost, and how long callers waited. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dialer.bench.load.callers import Told
from dialer.bench.load.model import spread

#: From the answer to the first sound, 95th percentile, milliseconds: longer, and a caller says hello.
FIRST_SOUND_MS: Final = 200.0
#: Of the calls asked for, at least so many a second must come in.
LEAST_IN: Final = 0.95
#: Who is joined within so many ms of their leaving may not have heard it.
CROSSED_MS: Final = 500.0

#: The states that each kind of caller walks through.
WAYS: Final[Mapping[str, tuple[str, ...]]] = {
    "agent": ("menu", "sales"),
    "waits": ("menu", "nobody"),
    "served": ("menu", "goodbye", "end"),
    "leaves": ("menu",),
}
#: Of them, where callers wait for an agent.
_QUEUES: Final = frozenset({"sales", "nobody"})
#: What calls may come to.
RESULTS: Final = ("answered", "abandoned", "contained", "left")


@dataclass(frozen=True, slots=True)
class Came:
    """The row of a call that came in."""

    number: str
    result: str | None
    #: it has its end; a talk, its disposition
    ended: bool
    disposed: bool
    #: of the row
    connected: bool
    #: from being joined with an agent to the caller's end, ms; None: no talk
    talk_ms: float | None
    way: tuple[str, ...]


def tally(
    callers: Sequence[Told], rows: Sequence[Came], *, asked_per_s: float, seconds: float
) -> dict[str, float]:
    """The figures of these callers, and of the rows that the server has of them."""
    by_number: dict[str, list[Came]] = {}
    for row in rows:
        by_number.setdefault(row.number, []).append(row)
    mine = [(told, by_number.get(told.number, [])) for told in callers]
    alone = [(told, rows[0]) for told, rows in mine if len(rows) == 1]
    found: dict[str, float] = {
        "asked_per_s": asked_per_s,
        "calls": len(callers),
        "placed_per_s": len(callers) / seconds,
        "not_taken": sum(told.answered_ms is None for told in callers),
        "no_end_seen": sum(not told.ended_by for told in callers),
        "without_row": sum(not rows for _, rows in mine),
        "rows_too_many": sum(len(rows) > 1 for _, rows in mine),
        "not_ended": sum(not row.ended for row in rows),
        "not_disposed": sum(row.result == "answered" and not row.disposed for row in rows),
        "mixed_up": sum(told.mixed_up for told in callers),
        "wrong_way": sum(not _may_go(told, row) for told, row in alone),
        "disagree": sum(not _agree(told, row) for told, row in alone),
        "at_once": at_once(callers),
    }
    for result in RESULTS:
        found[result] = sum(row.result == result for row in rows)
    found["without_agent"] = sum(told.kind == "agent" and told.heard_ms is None for told in callers)
    found["unserved"] = sum(told.kind == "served" and told.ended_by != "server" for told in callers)
    return {
        **found,
        **spread((told.sound_ms for told in callers if told.sound_ms is not None), "first_sound_ms"),
        **spread(
            (
                told.heard_ms - told.pressed_ms
                for told in callers
                if told.heard_ms is not None and told.pressed_ms is not None
            ),
            "key_to_agent_ms",
        ),
    }


def _may_go(told: Told, row: Came) -> bool:
    """Whether the way is the one that was pressed, as far as the caller stayed for it."""
    way = WAYS[told.kind]
    whole = told.heard_ms is not None or told.ended_by == "server"
    # Who left at once may have left before the first state was written down.
    return row.way == (way if whole else way[: len(row.way)]) and bool(row.way or told.pressed_ms is None)


def _agree(told: Told, row: Came) -> bool:
    """Whether the row came to what the caller's log says: who heard their own voice back had an agent, whom
    the server let go was served, and all others left."""
    if told.heard_ms is not None:
        return row.result == "answered"
    if row.talk_ms is not None and row.talk_ms < CROSSED_MS:
        return True  # they were leaving as they were joined
    if told.ended_by == "server" or row.way == WAYS["served"]:  # who left at the last word was served too
        return row.result == "contained"
    return row.result == ("abandoned" if _QUEUES & {*row.way} else "left")


def strange(callers: Sequence[Told], rows: Sequence[Came]) -> list[str]:
    """The calls of which both sides tell different things, in words for people."""
    by_number = {row.number: row for row in rows}
    found = []
    for told in callers:
        row = by_number.get(told.number)
        if row is not None and not (_may_go(told, row) and _agree(told, row)):
            left = f"ended by the {told.ended_by or 'nobody'} after {told.ended_ms or 0:.0f} ms"
            pressed = "no key" if told.pressed_ms is None else f"a key after {told.pressed_ms:.0f} ms"
            heard = "" if told.heard_ms is None else f", an agent after {told.heard_ms:.0f} ms"
            way = " > ".join(row.way) or "no state"
            found.append(f"caller {told.n} ({told.kind}): {pressed}{heard}, {left}; row: {row.result}, {way}")
    return found


def at_once(callers: Sequence[Told]) -> int:
    """The most calls that were up at a time; calls begin in the order of their numbers, evenly."""
    changes: list[tuple[float, int]] = []
    for told in callers:
        if told.answered_ms is not None and told.ended_ms is not None:
            changes += [(told.began_ms + told.answered_ms, 1), (told.began_ms + told.ended_ms, -1)]
    most = up = 0
    for _, change in sorted(changes):
        up += change
        most = max(most, up)
    return most


#: What must be 0, with its words.
_LOST: Final = (
    ("not_taken", "calls were not taken"),
    ("no_end_seen", "callers saw no end"),
    ("without_row", "calls have no row"),
    ("rows_too_many", "calls have two rows"),
    ("not_ended", "calls have no end"),
    ("not_disposed", "talks have no disposition"),
    ("mixed_up", "callers heard another caller"),
    ("wrong_way", "calls went another way than was pressed"),
    ("disagree", "calls came to something else than their callers say"),
)
#: What comes of being slow.
_SLOW: Final = (
    ("without_agent", "callers got no agent while they were there"),
    ("unserved", "callers left before the flow had served them"),
)


def lost(figures: Mapping[str, float], *, sums_only: bool = False) -> str:
    """What did not hold, in words; empty: all held. `sums_only`: however slow it was."""
    faults = [f"{figures[name]:.0f} {words}" for name, words in _LOST if figures[name]]
    if not figures["calls"]:
        faults.append("nobody called")
    if not sums_only:
        faults += [f"{figures[name]:.0f} {words}" for name, words in _SLOW if figures[name]]
        if figures["placed_per_s"] < figures["asked_per_s"] * LEAST_IN:
            faults.append(f"only {figures['placed_per_s']:.2f} of {figures['asked_per_s']:g} calls/s came in")
        if figures.get("first_sound_ms_p95", FIRST_SOUND_MS) >= FIRST_SOUND_MS:
            faults.append(f"first sound p95 over {FIRST_SOUND_MS:g} ms")
    return "; ".join(faults)
