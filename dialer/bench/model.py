"""What the bench of faults counts: one run, the rows they belong to, and the sums of both.

A row is a kind of fault; a run is that fault made once, at a point in time that its seed decides.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Protocol, runtime_checkable

from dialer.bench.lines import checked

Say = Callable[[str], None]

#: How long after the recovery an attempt may still be without an end, seconds.
UNFINISHED_AFTER_S = 60.0

#: The rows in the order in which they are run and shown.
NAMES = (
    "kill",
    "standby",
    "ami",
    "asterisk",
    "database",
    "carrier",
    "clock",
    "sequences",
    "donotcall",
    "agents",
    "hostile",
    "agi_inputs",
    "fraud",
    "soak",
    "nodes",
    "cluster",
    "together",
)


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of a row gave; one line of the results file."""

    #: The row's name.
    fault: str
    #: Decides the point in time and all else that is random in it.
    seed: int
    #: Which of the row's cases it was (`before_originate`, `half_open`, ...).
    case: str = ""
    #: Attempts made while it ran.
    calls: int = 0
    #: INVITEs too many, by the carrier's own log.
    double_dials: int = 0
    #: Attempts without an end 60 s after the recovery.
    unfinished_attempts: int = 0
    #: Dispositions that were acknowledged (HTTP 2xx) and are not in the database.
    lost_dispositions: int = 0
    #: Attempts that ended as unknown.
    unknown: int = 0
    #: Seconds from the fault's end, or the restart, until agents are at work and dialling goes on.
    recover_s: float | None = None
    #: More figures of this row, by name (inputs, passed, detect_s, ...).
    figures: Mapping[str, float] = field(default_factory=dict)
    #: What did not hold, in words; empty: all held.
    broken: str = ""
    #: Made in the short form, or of a size of its own (`--minutes`): never stands for a run of the long form.
    short: bool = False

    @property
    def losses(self) -> int:
        """What must be 0 in every row."""
        return self.double_dials + self.unfinished_attempts + self.lost_dispositions

    @property
    def held(self) -> bool:
        """Whether everything held."""
        return not self.broken and not self.losses


class Row(Protocol):
    """A kind of fault. Each module of `dialer.bench.faults` has one as `ROW`."""

    @property
    def name(self) -> str:
        """One of NAMES."""

    @property
    def title(self) -> str:
        """What is done, for the table."""

    @property
    def must_hold(self) -> str:
        """What must hold, for the table."""

    @property
    def cases(self) -> tuple[str, ...]:
        """Taken in turn by the seed; see `case_of`."""

    @property
    def long_runs(self) -> int:
        """How many seeds the long form has, from 1."""

    @property
    def short_runs(self) -> int:
        """How many of them the short form takes."""

    def runs(self, seeds: Sequence[int], say: Say) -> AsyncIterator[Run]:
        """Make the fault once a seed and yield each run as soon as it is known.

        What is needed is set up once for all seeds, taken down at the end, and nothing is left behind. `say`
        takes a line for people now and then.
        """


@runtime_checkable
class Sized(Protocol):
    """A row whose one run may last longer or less long."""

    def sized(self, *, short: bool, minutes: float | None) -> Row:
        """The row with its short run, or one that lasts so many minutes (None: as the long form)."""


@runtime_checkable
class Limited(Protocol):
    """A row that holds `recover_s` against a limit, which a busy machine stretches."""

    @property
    def limit_s(self) -> float:
        """The limit on a machine at rest, seconds."""


#: The figure of a run by which a row says itself whether it was over the limit at rest: 1 or 0.
OVER_LIMIT = "over_limit"


def over_limit(row: Row, runs: Iterable[Run]) -> int | None:
    """How many runs took longer than a machine at rest may; None where none has a limit.

    By the run's own figure, else by `recover_s` and the row's limit: so those count too that were written
    before there was such a figure.
    """
    limit_s = row.limit_s if isinstance(row, Limited) else None
    found = []
    for run in runs:
        if OVER_LIMIT in run.figures:
            found.append(bool(run.figures[OVER_LIMIT]))
        elif limit_s is not None and run.recover_s is not None:
            found.append(run.recover_s > limit_s)
    return sum(found) if found else None


def case_of(cases: Sequence[str], seed: int) -> str:
    """The case of a seed: they come in turn."""
    return cases[seed % len(cases)] if cases else ""


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over runs, of a row or of all."""

    runs: int = 0
    calls: int = 0
    double_dials: int = 0
    unfinished_attempts: int = 0
    lost_dispositions: int = 0
    unknown: int = 0
    #: Runs in which anything did not hold.
    broken: int = 0
    recover_p50_s: float | None = None
    recover_max_s: float | None = None
    #: More figures: sums over the runs; of a name that ends in _s, _ms, _share, _ratio or _max the maximum.
    figures: Mapping[str, float] = field(default_factory=dict)


_MAXIMA = ("_s", "_ms", "_share", "_ratio", "_max")


def totals(runs: Iterable[Run]) -> Totals:
    """The sums of these runs."""
    every = list(runs)
    recovered = sorted(run.recover_s for run in every if run.recover_s is not None)
    figures: dict[str, float] = {}
    for run in every:
        for name, value in run.figures.items():
            if name not in figures:
                figures[name] = value
            elif name.endswith(_MAXIMA):
                figures[name] = max(figures[name], value)
            else:
                figures[name] += value
    return Totals(
        runs=len(every),
        calls=sum(run.calls for run in every),
        double_dials=sum(run.double_dials for run in every),
        unfinished_attempts=sum(run.unfinished_attempts for run in every),
        lost_dispositions=sum(run.lost_dispositions for run in every),
        unknown=sum(run.unknown for run in every),
        broken=sum(not run.held for run in every),
        recover_p50_s=percentile(recovered, 0.5),
        recover_max_s=recovered[-1] if recovered else None,
        figures=figures,
    )


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """The value below or at which `share` of the ordered values lie (nearest rank); None of none."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def by_fault(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """The runs of each row, rows in their order; rows without runs are left out."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(run.fault, []).append(run)
    return {name: found[name] for name in sorted(found, key=_place)}


def _place(name: str) -> tuple[int, str]:
    return (NAMES.index(name) if name in NAMES else len(NAMES), name)


def newest(runs: Iterable[Run]) -> list[Run]:
    """One run of each row, seed and form: the last one stands, as a seed is run again after a mend."""
    return list({(run.fault, run.seed, run.short): run for run in runs}.values())


def summary(runs: Iterable[Run]) -> dict[str, Any]:
    """What the last line of stdout says, for programs."""
    rows = by_fault(runs)
    return {
        "faults": len(rows),
        **_figures(totals(run for every in rows.values() for run in every)),
        "rows": {name: _figures(totals(every)) for name, every in rows.items()},
    }


def _figures(total: Totals) -> dict[str, Any]:
    return {
        "runs": total.runs,
        "calls": total.calls,
        "double_dials": total.double_dials,
        "unfinished_attempts": total.unfinished_attempts,
        "lost_dispositions": total.lost_dispositions,
        "unknown": total.unknown,
        "recover_s": {"p50": _rounded(total.recover_p50_s), "max": _rounded(total.recover_max_s)},
        "broken": total.broken,
        **({"figures": {k: _rounded(v) for k, v in total.figures.items()}} if total.figures else {}),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def to_line(run: Run) -> dict[str, Any]:
    """The run as a line of the results file: fields that say nothing are left out."""
    plain = Run(run.fault, run.seed)
    line: dict[str, Any] = {"fault": run.fault, "seed": run.seed}
    for each in fields(Run):
        value = getattr(run, each.name)
        if value != getattr(plain, each.name):
            line[each.name] = value
    if run.recover_s is not None:
        line["recover_s"] = _rounded(run.recover_s)
    if run.figures:
        line["figures"] = {name: _rounded(value) for name, value in run.figures.items()}
    return line


def from_line(line: Mapping[str, Any]) -> Run:
    """The run that `to_line` has written; fields that a later version knows are passed over.

    Raises TypeError for a line that is no run.
    """
    known = {each.name for each in fields(Run)}
    return checked(Run(**{name: value for name, value in line.items() if name in known}))
