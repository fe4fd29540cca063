"""A chart of lines as SVG, drawn by hand: no library, the same bytes for the same figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final
from xml.sax.saxutils import escape

WIDTH: Final = 760
HEIGHT: Final = 420
_LEFT, _TOP, _BOTTOM = 56, 44, 52
#: Room for the names of the lines.
LABELS: Final = 190
#: Told apart by people who see colours differently, on light and on dark paper.
COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#888888", "#b8860b", "#56b4e9")
#: Labels at the end of lines keep so many pixels from each other.
_APART: Final = 15


def chart(
    title: str,
    x_title: str,
    y_title: str,
    lines: Mapping[str, Sequence[tuple[float, float]]],
    y_range: tuple[float, float],
    *,
    even: bool = False,
    labels: int = LABELS,
) -> str:
    """Points joined in the order given, with a mark at each x that occurs; x on a logarithmic scale, or on an
    `even` one. `labels`: room for the lines' names at the right, pixels. Without points it is empty."""
    values = sorted({x for points in lines.values() for x, _ in points}) or [1.0]

    def scaled(x: float) -> float:
        return x if even else math.log(x)

    low, high, right = scaled(values[0]), scaled(values[-1]), WIDTH - labels

    def across(x: float) -> float:
        part = (scaled(x) - low) / (high - low) if high > low else 0.5
        return _LEFT + part * (right - _LEFT)

    def up(y: float) -> float:
        part = (y - y_range[0]) / (y_range[1] - y_range[0])
        return HEIGHT - _BOTTOM - part * (HEIGHT - _TOP - _BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'font-family="sans-serif" font-size="12">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="22" font-size="14" fill="#222222">{escape(title)}</text>',
    ]
    floor = HEIGHT - _BOTTOM
    for mark in range(int(y_range[0]), int(y_range[1]) + 1, 10):
        y = up(mark)
        parts.append(f'<line x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#dddddd"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" fill="#555555">{mark}</text>')
    for x in values:
        parts.append(
            f'<text x="{across(x):.1f}" y="{floor + 18}" text-anchor="middle" fill="#555555">{x:g}</text>'
        )
    parts.append(
        f'<text x="{(_LEFT + right) / 2:.1f}" y="{HEIGHT - 12}" text-anchor="middle" fill="#222222">'
        f"{escape(x_title)}</text>"
    )
    parts.append(f'<text x="{_LEFT - 40}" y="{_TOP - 8}" fill="#222222">{escape(y_title)}</text>')
    drawn = {name: points for name, points in lines.items() if points}
    colours = dict(zip(drawn, COLOURS * (1 + len(drawn) // len(COLOURS)), strict=False))
    for name, points in drawn.items():
        path = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colours[name]}" stroke-width="2"/>')
        parts += [
            f'<circle cx="{across(x):.1f}" cy="{up(y):.1f}" r="2.5" fill="{colours[name]}"/>'
            for x, y in points
        ]
    at = -math.inf
    for name in sorted(drawn, key=lambda one: up(drawn[one][-1][1])):
        at = max(up(drawn[name][-1][1]) + 4, at + _APART)
        parts.append(f'<text x="{right + 8}" y="{at:.1f}" fill="{colours[name]}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>", ""])
