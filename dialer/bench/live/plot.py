"""Two strips as SVG, drawn by hand: where simulated runs lie, and the real ones among them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from dialer.bench.live.model import PLAIN, Band, Known, pooled, pools
from dialer.pacing.simulator.figures import Minute

WIDTH: Final = 760
HEIGHT: Final = 450
_LEFT, _RIGHT, _TOP, _APART = 40, 116, 70, 200
#: Height of a strip's bars.
_BARS: Final = 84
_BINS: Final = 30
_GREY, _DARK, _SIMULATED, _REAL = "#dddddd", "#222222", "#0072b2", "#d55e00"


@dataclass(frozen=True, slots=True)
class Strip:
    """One figure: percent."""

    title: str
    simulated: Sequence[float]
    #: of pools of as many simulated runs as there are real ones
    groups: Sequence[float]
    real: Sequence[float]
    together: float

    @property
    def span(self) -> tuple[float, float]:
        """Whole steps around everything."""
        every = [*self.simulated, *self.groups, *self.real, self.together]
        step = self.step
        low, high = math.floor(min(every) / step) * step, math.ceil(max(every) / step) * step
        return low, max(high, low + step)

    @property
    def step(self) -> int:
        """Between two marks: some ten of them."""
        every = [*self.simulated, *self.real]
        return next((step for step in (1, 2, 5, 10) if (max(every) - min(every)) / step <= 12), 20)


def draw(known: Known) -> str:
    """The plot of a setting that was run and simulated."""
    runs = known.simulated[PLAIN].runs
    real = list(known.real.values())
    groups, total = pools(runs, len(real)), pooled(real)

    def strip(title: str, of: Callable[[Minute], float]) -> Strip:
        return Strip(
            title,
            [100 * of(run) for run in runs],
            [100 * of(run) for run in groups],
            [100 * of(one.counted) for one in real],
            100 * of(total),
        )

    setting = next(iter(known.real.values())).setting
    title = f"{setting.agents} agents for {setting.minutes:g} minutes: real Asterisk and simulator"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'font-family="sans-serif" font-size="12">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="24" font-size="14" fill="{_DARK}">{escape(title)}</text>',
        *_legend(len(runs), len(real)),
        *_strip(strip("occupancy, %", lambda run: run.occupancy), _TOP),
        *_strip(strip("abandoned of the live answers, %", lambda run: run.abandon_rate), _TOP + _APART),
    ]
    return "\n".join([*parts, "</svg>", ""])


def _legend(simulated: int, real: int) -> list[str]:
    y = 44
    return [
        f'<rect x="{_LEFT}" y="{y - 9}" width="12" height="10" fill="{_GREY}"/>',
        f'<text x="{_LEFT + 18}" y="{y}" fill="#555555">{simulated} simulated runs</text>',
        f'<line x1="{_LEFT + 158}" x2="{_LEFT + 182}" y1="{y - 4}" y2="{y - 4}" stroke="{_SIMULATED}" '
        'stroke-width="3"/>',
        f'<text x="{_LEFT + 188}" y="{y}" fill="{_SIMULATED}">5 to 95 % of them</text>',
        f'<circle cx="{_LEFT + 316}" cy="{y - 4}" r="4" fill="none" stroke="{_REAL}" stroke-width="2"/>',
        f'<text x="{_LEFT + 326}" y="{y}" fill="{_REAL}">real run</text>',
        f'<circle cx="{_LEFT + 396}" cy="{y - 4}" r="5" fill="{_REAL}"/>',
        f'<text x="{_LEFT + 406}" y="{y}" fill="{_REAL}">all {real} together</text>',
    ]


def _strip(strip: Strip, top: float) -> list[str]:
    low, high = strip.span

    def across(value: float) -> float:
        return _LEFT + (value - low) / (high - low) * (WIDTH - _LEFT - _RIGHT)

    floor = top + 16 + _BARS
    parts = [f'<text x="{_LEFT}" y="{top + 8}" fill="{_DARK}">{escape(strip.title)}</text>']
    width = (high - low) / _BINS
    counts = [0] * _BINS
    for value in strip.simulated:
        counts[min(_BINS - 1, int((value - low) / width))] += 1
    for place, count in enumerate(counts):
        if count:
            x, tall = across(low + place * width), _BARS * count / max(counts)
            parts.append(
                f'<rect x="{x:.1f}" y="{floor - tall:.1f}" width="{across(low + width) - _LEFT - 1:.1f}" '
                f'height="{tall:.1f}" fill="{_GREY}"/>'
            )
    parts.append(f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{floor}" y2="{floor}" stroke="#888888"/>')
    for each, (name, values, points) in enumerate(
        (
            ("single runs", strip.simulated, strip.real),
            (f"{len(strip.real)} runs together", strip.groups, [strip.together]),
        )
    ):
        y = floor + 14 + 20 * each
        band, whole = Band.of(values), each == 1
        parts.append(
            f'<line x1="{across(band.p5):.1f}" x2="{across(band.p95):.1f}" y1="{y}" y2="{y}" '
            f'stroke="{_SIMULATED}" stroke-width="3"/>'
        )
        parts.append(
            f'<line x1="{across(band.p50):.1f}" x2="{across(band.p50):.1f}" y1="{y - 6}" y2="{y + 6}" '
            f'stroke="{_SIMULATED}" stroke-width="2"/>'
        )
        fill = f'r="5" fill="{_REAL}"' if whole else f'r="4" fill="none" stroke="{_REAL}" stroke-width="2"'
        parts += [f'<circle cx="{across(point):.1f}" cy="{y}" {fill}/>' for point in points]
        parts.append(f'<text x="{WIDTH - _RIGHT + 10}" y="{y + 4}" fill="#555555">{name}</text>')
    marks = floor + 58
    for mark in range(int(low), int(high) + 1, strip.step):
        x = across(mark)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{floor}" y2="{floor + 4}" stroke="#888888"/>')
        parts.append(f'<text x="{x:.1f}" y="{marks}" text-anchor="middle" fill="#555555">{mark}</text>')
    return parts
