"""A block of hostile inputs: how many there were, and which did harm."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

#: How many harms are told in words; the others are only counted.
TOLD = 5


@dataclass(slots=True)
class Block:
    """What one run throws, and what came of it."""

    case: str
    seed: int
    #: of the short form: fewer inputs, of every kind
    short: bool = False
    #: how many blocks of the kind have lower seeds
    turn: int = 0
    inputs: int = 0
    #: inputs by kind, under the names of the table
    kinds: Counter[str] = field(default_factory=Counter)
    failures: int = 0
    told: list[str] = field(default_factory=list)
    #: attempts made by the site meanwhile
    calls: int = 0
    #: further figures
    figures: dict[str, float] = field(default_factory=dict)
    #: what could not be done here, in words
    undone: list[str] = field(default_factory=list)
    dice: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.dice = random.Random(f"{self.case} {self.seed}")  # noqa: S311 - to be made again, not to be secret

    def size(self, long: int, short: int) -> int:
        """How many inputs there are of something."""
        return short if self.short else long

    def took(self, kind: str, count: int = 1) -> None:
        """So many inputs of a kind were given."""
        self.inputs += count
        self.kinds[kind] += count

    def reached(self, figure: str, count: int) -> None:
        """So many inputs came to where they were to come; harm where none did, for then nothing was tried."""
        self.figures[figure] = self.figures.get(figure, 0) + count
        if not count:
            self.harm(f"{figure} is 0: nothing has come to where it was to be tried")

    def harm(self, what: str) -> None:
        """An input did harm."""
        self.failures += 1
        if len(self.told) < TOLD:
            self.told.append(what[:400])

    def all_figures(self) -> Mapping[str, float]:
        """Everything that is counted, by name."""
        kinds = {f"inputs_{name}": float(count) for name, count in self.kinds.items()}
        return {"inputs": self.inputs, "failures": self.failures, **kinds, **self.figures}
