"""How likely it is that at least so many of many independent things happen: tails of Poisson-binomials.

Columns are moments in time that are looked at beside each other; they share nothing.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
_Complexes: TypeAlias = NDArray[np.complex128]

#: Most terms that are reckoned exactly: above, the refined normal law is as good and far faster.
EXACT_TERMS = 150
#: From so many terms on they are put together in groups first.
_WORTH_GROUPS = 60


def exact_tails(rows: Floats, more: Floats, least: int) -> Floats:
    """P(at least `least`) exactly: of `rows`, and of `rows` with the first 1, 2, ... of `more`.

    `rows`: (n, k) and `more`: (j, k) probabilities; gives (j + 1, k). By the characteristic function at the
    roots of unity, as many as there are possible sums (Fernandez and Williams 2010).
    """
    terms = len(rows) + len(more)
    if least <= 0 or least > terms:
        return np.full((len(more) + 1, rows.shape[1]), float(least <= 0))
    turns, weights = _roots(terms + 1, least)
    steps = np.empty((1 + len(more), len(turns), rows.shape[1]), dtype=np.complex128)
    _product(turns, rows, out=steps[0])
    np.multiply(turns[None, :, None], more[:, None, :], out=steps[1:])
    steps[1:] += 1.0
    np.multiply.accumulate(steps, axis=0, out=steps)
    tails: Floats = (weights @ steps).real
    return np.asarray(np.minimum(np.maximum(tails, 0.0), 1.0))


def _product(turns: _Complexes, rows: Floats, out: _Complexes) -> None:
    """The product of 1 + turn x row over all rows: (turns, k)."""
    if len(rows) < _WORTH_GROUPS:
        each = turns[None, :, None] * rows[:, None, :]
        each += 1.0
        np.multiply.reduce(each, axis=0, out=out)
        return
    # First the distributions of the sums of groups of eight, then their values at the roots: a third of the
    # work. All are chances, so nothing cancels out.
    count, moments = rows.shape
    known = np.zeros((2, count + -count % 8, moments))
    known[1, :count] = rows
    known[0] = 1.0 - known[1]
    for size in (2, 3, 5):
        half = known.shape[1] // 2
        some, others = known[:, :half], known[:, half:]
        known = np.zeros((2 * size - 1, half, moments))
        for i in range(size):
            known[i : i + size] += some[i] * others
    powers = (turns + 1.0)[:, None] ** np.arange(len(known))
    parts = np.concatenate([powers.real, powers.imag]) @ known.reshape(len(known), -1)
    values = (parts[: len(turns)] + 1j * parts[len(turns) :]).reshape(len(turns), -1, moments)
    np.multiply.reduce(values, axis=1, out=out)


@lru_cache(maxsize=4096)
def _roots(count: int, least: int) -> tuple[_Complexes, _Complexes]:
    """Half of the `count` roots of unity less 1, and what each weighs in the tail from `least` on."""
    half = np.arange(count // 2 + 1)
    roots = np.exp(2j * np.pi * half / count)
    weights = np.exp(-2j * np.pi * np.outer(half, np.arange(least, count)) / count).sum(axis=1) / count
    # The other half is conjugate; the first root has no partner, nor has the last of an even count.
    twice = np.where((half == 0) | (2 * half == count), 1.0, 2.0)
    return roots - 1.0, weights * twice


#: The standard normal distribution function, on a grid fine enough for 1e-7.
_Z = np.linspace(-8.0, 8.0, 8001)
_DENSITY = np.exp(-_Z * _Z / 2) / np.sqrt(2 * np.pi)
_NORMAL = np.concatenate([[0.0], np.cumsum((_DENSITY[1:] + _DENSITY[:-1]) / 2)]) * (_Z[1] - _Z[0])


def normal_tails(mean: Floats, variance: Floats, third: Floats, least: int) -> Floats:
    """P(at least `least`) nearly, by the normal law refined with the skewness (Volkova 1996).

    `mean`, `variance`, `third`: sums of p, p (1 - p) and p (1 - p)(1 - 2 p) over the terms, of one shape.
    """
    deviation = np.sqrt(np.maximum(variance, 1e-9))
    z = (least - 0.5 - mean) / deviation
    skew = third / deviation**3
    density = np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    below = np.interp(z, _Z, _NORMAL) + skew * (1.0 - z * z) * density / 6.0
    return np.asarray(np.minimum(np.maximum(1.0 - below, 0.0), 1.0))
