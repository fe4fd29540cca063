"""The part of docs/pacing.md about real Asterisk, and its plot, made from the results file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from dialer.bench.live.model import (
    DELAYED,
    PLAIN,
    Band,
    Bands,
    Known,
    Real,
    Setting,
    Simulated,
    mean_delays,
    pooled,
    pools,
)
from dialer.bench.live.plot import draw
from dialer.bench.pacing.table import markdown
from dialer.errors import Invalid
from dialer.pacing.simulator.figures import Minute

PAGE: Final = Path("docs/pacing.md")
PLOT: Final = Path("docs/images/pacing-live.svg")
BEGIN: Final = "<!-- pacing:live -->"
END: Final = "<!-- /pacing:live -->"


def write(lines: Iterable[Real | Simulated]) -> None:
    """Put the tables between their marks, and the plot beside. Raises Invalid where there is no such page, or
    no comparison to stand on it."""
    known = Known.of(lines, Setting())
    if not known.real or PLAIN not in known.simulated:
        raise Invalid(field="--results", reason="it has no real runs, or no simulated ones, of the long form")
    if not PAGE.is_file():
        raise Invalid(field="--docs", reason=f"there is no {PAGE} here: run it in a checkout")
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8"), known), encoding="utf-8")
    PLOT.write_text(draw(known), encoding="utf-8")


def render(page: str, known: Known) -> str:
    """The page with its tables. Raises Invalid where it has no place for them."""
    before, found, rest = page.partition(BEGIN)
    _, closed, after = rest.partition(END)
    if not found or not closed:
        raise Invalid(field=str(PAGE), reason=f"it has no {BEGIN} ... {END}")
    return f"{before}{BEGIN}\n{compared(known)}\n\n{beyond(known)}\n{END}{after}"


def compared(known: Known) -> str:
    """The real runs, all of them together, and the bands of the simulator."""
    real, plain = list(known.real.values()), known.simulated[PLAIN]
    total = pooled(real)
    body = [_row(f"real, seed {one.seed}", one.counted, one) for one in real]
    body.append(_row(f"**real, all {len(real)}**", total))
    body += _bands(plain, len(real), "")
    if (delayed := known.simulated.get(DELAYED)) is not None:
        body += _bands(delayed, len(real), " with the real delays")
    return markdown(
        ("", "occupancy", "abandoned", "abandoned / live answers", "dials", "wait, s (half, 95 %, longest)"),
        body,
    )


def _row(name: str, counted: Minute, one: Real | None = None) -> tuple[str, ...]:
    waits = (
        " / ".join(f"{one.figures[each]:.2f}" for each in ("wait_p50_s", "wait_p95_s", "wait_max_s"))
        if one
        else ""
    )
    return (
        name,
        _percent(counted.occupancy, 1),
        _percent(counted.abandon_rate, 2),
        f"{counted.abandoned} / {counted.live}",
        str(counted.dials),
        waits,
    )


def _bands(simulated: Simulated, size: int, which: str) -> list[tuple[str, ...]]:
    groups = pools(simulated.runs, size)
    waits = " / ".join(f"{simulated.figures[each]:.2f}" for each in ("wait_p50_s", "wait_p95_s"))
    return [
        _band(f"simulated{which}, {len(simulated.runs)} runs: 5 to 95 % (half)", simulated.runs, waits),
        _band(f"**simulated{which}, {len(groups)} times {size} together**", groups, ""),
    ]


def _band(name: str, runs: Sequence[Minute], waits: str) -> tuple[str, ...]:
    bands = Bands.of(runs)
    dials = Band.of([run.dials for run in runs])
    live = Band.of([run.live for run in runs])
    return (
        name,
        _span(bands.occupancy, 1),
        _span(bands.abandon_rate, 2),
        f"{live.p5:.0f} to {live.p95:.0f} answers",
        f"{dials.p5:.0f} to {dials.p95:.0f}",
        waits,
    )


def beyond(known: Known) -> str:
    """What passed beyond the plan on real lines."""
    delays = mean_delays(list(known.real.values()))
    body = (
        ("the call until it rings, longer than the network's own time", delays.setup_s),
        ("the answer until agent and customer hear each other, an agent being free", delays.join_s),
        ("the talk from then on, longer than the customer's plan", delays.talk_s),
        ("the wrap-up, longer than the agent's plan", delays.wrap_s),
    )
    return markdown(
        ("what the simulator leaves out", "s, mean of the real runs"),
        [(name, f"{seconds:.2f}") for name, seconds in body],
    )


def _span(band: Band, places: int) -> str:
    return f"{_percent(band.p5, places)} to {_percent(band.p95, places)} ({_percent(band.p50, places)})"


def _percent(share: float, places: int) -> str:
    return f"{100 * share:.{places}f}"
