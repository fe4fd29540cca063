"""Small charts as shapes for a template: no library, no script; colours are the page's own classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

#: The drawing's size, in its own units.
WIDTH: Final = 720
HEIGHT: Final = 120


@dataclass(frozen=True, slots=True)
class Curve:
    """One line, or a row of bars."""

    #: class of its colour, and the name of its sentence in the legend
    name: str
    #: pieces of points `x,y x,y`: it is broken where nothing is known
    pieces: Sequence[str] = ()
    #: (x, y, width, height)
    bars: Sequence[tuple[float, float, float, float]] = ()


@dataclass(frozen=True, slots=True)
class Plot:
    """Curves over one span of time, all from 0 to `top`."""

    top: float
    curves: Sequence[Curve]


def plot(
    lines: dict[str, Sequence[float | None]], bars: dict[str, Sequence[float]] | None = None
) -> Plot | None:
    """A plot of values at even distances; None where nothing is known. Bars have a scale of their own."""
    bars = bars or {}
    known = [value for values in lines.values() for value in values if value is not None]
    tallest = max((value for values in bars.values() for value in values), default=0.0)
    if not known and not tallest:
        return None
    top = max(known, default=0.0) or 1.0
    curves = [Curve(name, bars=_bars(values, tallest or 1.0)) for name, values in bars.items()]
    curves += [Curve(name, pieces=_pieces(values, top)) for name, values in lines.items()]
    return Plot(top, curves)


def _pieces(values: Sequence[float | None], top: float) -> list[str]:
    pieces: list[list[str]] = [[]]
    for number, value in enumerate(values, 1):
        if value is None:
            pieces.append([])
        else:
            pieces[-1].append(f"{WIDTH * number / len(values):.1f},{HEIGHT * (1 - value / top):.1f}")
    return [" ".join(piece) for piece in pieces if piece]


def _bars(values: Sequence[float], top: float) -> list[tuple[float, float, float, float]]:
    wide = WIDTH / len(values)
    return [
        (round(number * wide, 1), round(HEIGHT - high, 1), round(wide, 1), round(high, 1))
        for number, value in enumerate(values)
        for high in [HEIGHT * value / top]
        if value
    ]
