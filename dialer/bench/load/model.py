"""What the load bench measures: one measurement, the rows they belong to, and the summary of all.

A row asks one question (how many calls a second?); a case is one point at which it is asked (20 calls/s). A
measurement is one line of the results file, and carries the seed of all that was random in it.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

from dialer.bench.lines import checked
from dialer.errors import DozvonError

Say = Callable[[str], None]


class NotMeasured(DozvonError):
    """{row} was not measured: {reason}."""

    id = "not-measured"


#: The rows in the order in which they are measured and shown.
NAMES = (
    "events",
    "attempts",
    "calls",
    "answer",
    "stream",
    "pop",
    "board",
    "day",
    "reports",
    "air",
    "operators",
    "leads",
    "hopper",
    "hooks",
    "inbound",
)
#: The case of `calls` that names the highest rate at which nothing fell behind.
SUSTAINED = "sustained"


@dataclass(frozen=True, slots=True)
class Measured:
    """One measurement."""

    #: The row's name.
    row: str
    #: The point at which it was measured: `rate=20`, `leads=10000`.
    case: str
    #: Decides all that is random in it.
    seed: int
    #: Measured in the short form: it shows that the bench works, not what the machine can do.
    short: bool = False
    #: Figures by name; the unit is the end of the name (_ms, _s, _per_s) or said in the row's table.
    figures: Mapping[str, float] = field(default_factory=dict)
    #: What was simulated and what was real, where that differs between cases.
    note: str = ""
    #: What did not hold, in words; empty: all held.
    broken: str = ""
    #: UTC, ISO 8601; when it ended.
    at: str = ""

    @property
    def key(self) -> tuple[str, str, bool]:
        """What it is the answer to; a later one with the same key stands in its place."""
        return self.row, self.case, self.short

    @property
    def searches(self) -> bool:
        """Whether it belongs to the search for the rate at which something falls behind: that it does is no
        fault."""
        return self.row == "calls" and not self.short


Known = Mapping[tuple[str, str, bool], Measured]


@dataclass(frozen=True, slots=True)
class Wish:
    """How the rows are to be measured."""

    short: bool
    seed: int
    #: Measured before and to be left out; empty unless the run is resumed.
    known: Known
    #: All that the results file has, for a row that stands on another's figure.
    earlier: Known


class Row(Protocol):
    """A question. Each module of rows has one or more."""

    @property
    def name(self) -> str:
        """One of NAMES."""

    @property
    def title(self) -> str:
        """What is asked, for the table."""

    @property
    def columns(self) -> Sequence[tuple[str, str]]:
        """The figures of the table: (name, heading)."""

    def measure(self, wish: Wish, say: Say) -> AsyncIterator[Measured]:
        """Measure each case and yield it as soon as it is known; cases in `wish.known` are left out.

        What is needed is set up once, taken down at the end, and nothing is left behind.
        """


def newest(every: Iterable[Measured]) -> dict[tuple[str, str, bool], Measured]:
    """The last measurement of each row and case."""
    return {one.key: one for one in every}


def in_order(every: Iterable[Measured]) -> list[Measured]:
    """Rows in their order; the cases of a row as they were measured."""
    return sorted(every, key=lambda one: NAMES.index(one.row) if one.row in NAMES else len(NAMES))


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """The value below or at which `share` of the ordered values lie (nearest rank); None of none."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def spread(values: Iterable[float], name: str, *shares: int) -> dict[str, float]:
    """Percentiles of values by name: spread(times, "answer_ms", 50, 95) -> {"answer_ms_p50": ...}; of no
    values nothing."""
    ordered = sorted(values)
    found = {f"{name}_p{share}": percentile(ordered, share / 100) for share in shares or (50, 95, 99)}
    return {key: value for key, value in found.items() if value is not None}


# -- what "falls behind" means ----------------------------------------------------------------------------

#: Of the calls asked for, at least so many must be placed.
LEAST_PLACED = 0.95
#: Answer to agent, 95th percentile, milliseconds: longer, and a person says hello into silence.
ANSWER_MS_P95 = 250.0
#: Changes that the journal may have in its queue, in seconds of changes at the rate.
JOURNAL_S = 1.0
#: Changes that a call makes in the journal.
CHANGES_A_CALL = 8


def fell_behind(figures: Mapping[str, float], *, sums_only: bool = False) -> str:
    """Why a rate is not sustained, in words; empty: it is. `sums_only`: however slow it was.

    `figures` are those of one step: asked_per_s, placed_per_s, answered, without_agent, failed,
    answer_to_agent_ms_p95, journal_behind_max, not_ended.
    """
    faults = []
    if not figures["answered"]:
        faults.append("nobody answered")
    if figures["without_agent"]:
        faults.append(f"{figures['without_agent']:.0f} answered customers got no agent")
    if figures["failed"]:
        faults.append(f"{figures['failed']:.0f} calls failed or were taken back")
    if figures["not_ended"]:
        faults.append(f"{figures['not_ended']:.0f} calls had no end")
    return "; ".join(faults if sums_only else faults + _slow(figures))


def _slow(figures: Mapping[str, float]) -> list[str]:
    asked, faults = figures["asked_per_s"], []
    if figures["placed_per_s"] < asked * LEAST_PLACED:
        faults.append(f"only {figures['placed_per_s']:.2f} of {asked:g} calls/s were placed")
    if figures.get("answer_to_agent_ms_p95", math.inf) > ANSWER_MS_P95:
        faults.append(f"answer to agent p95 over {ANSWER_MS_P95:.0f} ms")
    if figures["journal_behind_max"] > max(50.0, asked * CHANGES_A_CALL * JOURNAL_S):
        faults.append(f"the journal was {figures['journal_behind_max']:.0f} changes behind")
    return faults


#: Of the calls that are to be in the air at a time, so many must be, counted in the middle.
LEAST_IN_AIR = 0.9


def not_in_the_air(wished: float, figures: Mapping[str, float]) -> str:
    """Why a step does not say what so many calls in the air cost, in words; empty: it does.

    `figures` have asked_per_s, placed_per_s and in_air.
    """
    faults = []
    if figures["placed_per_s"] < figures["asked_per_s"] * LEAST_PLACED:
        faults.append(f"only {figures['placed_per_s']:.1f} of {figures['asked_per_s']:g} calls/s were placed")
    if figures["in_air"] < wished * LEAST_IN_AIR:
        faults.append(f"only {figures['in_air']:.1f} of {wished:g} calls were in the air")
    return "; ".join(faults)


# -- the summary ------------------------------------------------------------------------------------------


def summary(every: Iterable[Measured]) -> dict[str, Any]:
    """What the last line of stdout says, for programs; null where nothing was measured."""
    rows: dict[str, dict[str, Any]] = {}
    broken: list[str] = []
    for one in in_order(every):
        rows.setdefault(one.row, {})[one.case] = {
            **{name: rounded(value) for name, value in one.figures.items()},
            **({"broken": one.broken} if one.broken else {}),
        }
        if one.broken and not one.searches:
            broken.append(f"{one.row} {one.case}: {one.broken}")
    best = rows.get("calls", {}).get(SUSTAINED, {})
    answers = rows.get("answer", {})
    events = rows.get("events", {}).get("link_filtered", {})
    # The wait of an answered customer at 90 % of the sustained rate, else at that rate itself.
    waits = next((answers[name] for name in ("share=90",) if name in answers), best)
    return {
        "calls_per_s": best.get("placed_per_s"),
        "concurrent": best.get("concurrent"),
        "answer_to_agent_ms": {p: waits.get(f"answer_to_agent_ms_{p}") for p in ("p50", "p95", "p99")},
        "server_cpu_per_call": best.get("server_cpu_per_call"),
        "asterisk_cpu_per_call": best.get("asterisk_cpu_per_call"),
        "db_cpu_per_call": best.get("db_cpu_per_call"),
        "carrier_cpu_per_call": best.get("carrier_cpu_per_call"),
        "events_per_s": events.get("events_per_s"),
        "broken": broken,
        "rows": rows,
    }


def rounded(value: float) -> float:
    """Four figures that count are more than a bench can promise."""
    if not value or not math.isfinite(value):
        return value
    whole = round(value, max(0, 3 - math.floor(math.log10(abs(value)))))
    return int(whole) if whole == int(whole) and abs(whole) < 1e15 else whole


def to_line(one: Measured) -> dict[str, Any]:
    """The measurement as a line of the results file; fields that say nothing are left out."""
    plain = Measured(one.row, one.case, one.seed)
    line: dict[str, Any] = {"row": one.row, "case": one.case, "seed": one.seed}
    for each in fields(Measured):
        value = getattr(one, each.name)
        if value != getattr(plain, each.name):
            line[each.name] = value
    if one.figures:
        line["figures"] = {name: rounded(value) for name, value in one.figures.items()}
    return line


def from_line(line: Mapping[str, Any]) -> Measured:
    """The measurement that `to_line` has written; fields that a later version knows are passed over.

    Raises TypeError for a line that is none.
    """
    known = {each.name for each in fields(Measured)}
    return checked(Measured(**{name: value for name, value in line.items() if name in known}))


def table(columns: Sequence[tuple[str, str]], every: Sequence[Measured]) -> str:
    """A row's measurements as a table in Markdown: a line a case, columns that nothing has left out; their
    seeds where there are several."""
    shown = [(name, head) for name, head in columns if any(name in one.figures for one in every)]
    notes, seeds = any(one.note for one in every), len({one.seed for one in every}) > 1
    heads = ["case", *(["seed"] if seeds else []), *(head for _, head in shown)]
    heads += [*(["what was simulated"] if notes else []), "held"]
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    for one in every:
        cells = [one.case, *([str(one.seed)] if seeds else [])]
        cells += [cell(one.figures.get(name)) for name, _ in shown]
        cells += [one.note] if notes else []
        cells.append(one.broken.replace("|", "/") or "yes")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def cell(value: float | None) -> str:
    """A figure as it is shown; nothing where it was not measured."""
    if value is None:
        return ""
    shown = rounded(value)
    return f"{shown:,}" if abs(shown) >= 1000 else f"{shown:g}"
