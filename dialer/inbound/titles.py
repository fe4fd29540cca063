"""The names of a flow in the words of who wrote it, for the people who see a call. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Told:
    """The way of a call, as an agent reads it."""

    #: the title of the flow that led the call; else its name
    flow: str
    #: titles of the states that it has been in; else their names
    path: Sequence[str]
    #: what was asked -> what was chosen or pressed
    answers: Sequence[tuple[str, str]]
    #: why they call; None: nobody has said
    reason: str | None


@dataclass(frozen=True, slots=True)
class Step:
    """A state that a call has been in."""

    #: the names of the flow and of the state
    flow: str
    name: str
    #: as the document of the flow has it; empty: it has it no more
    state: Mapping[str, Any]

    @property
    def title(self) -> str | None:
        """None: it has none."""
        return self.state.get("title") or None


def told(flow: str, steps: Sequence[Step], collected: Mapping[str, Any], reason: str | None) -> Told:
    """All this from the `steps` of a call, in their order. A choice that led to a state with a title is
    called as that state is."""
    titles = {(step.flow, step.name): step.title for step in steps}
    asked: dict[str, str] = {}
    chosen: dict[tuple[str, str], str] = {}
    for step in steps:
        about = step.state.get("properties") or {}
        into = about.get("into")
        if not isinstance(into, str):
            continue
        if step.title:
            asked.setdefault(into, step.title)
        for key, value in (about.get("values") or {}).items():
            target = (step.state.get("transitions") or {}).get(key)
            if target is not None and (title := titles.get((step.flow, target))):
                chosen.setdefault((into, str(value)), title)
    answers = [
        (asked.get(name, name), chosen.get((name, str(value)), str(value)))
        for name, value in collected.items()
    ]
    said = {value: words for (_, value), words in chosen.items()}
    return Told(
        flow,
        [step.title or step.name for step in steps],
        answers,
        None if reason is None else said.get(reason, reason),
    )
