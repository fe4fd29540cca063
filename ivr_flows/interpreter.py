"""A call's way through a flow: one event in, one action out. Nothing is known here but values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from ivr_flows import hours, spoken, verbs
from ivr_flows.model import (
    LANGUAGES,
    MOST_VARIABLES,
    Began,
    Ended,
    Event,
    Flow,
    HangUp,
    HungUp,
    Passed,
    Position,
    Say,
    Step,
    Value,
    Verb,
    clean_values,
)  # fmt: skip

#: So many states may pass without anything to be done; more is a loop.
MOST_STATES: Final = 1_000
#: So many states a call may come to, through all flows: flows that lead into one another, a line that presses
#: keys by itself.
MOST_WALKED: Final = 2_000
#: So often a call may be saved by `on_error`.
MOST_ERRORS: Final = 3
#: The phase in which the caller hears the polite end.
POLITE: Final = "polite"

#: What stands in for an event without a branch of its own, before `default`.
INSTEAD: Final[Mapping[tuple[Verb, str], str]] = {
    # What could not be heard is passed over.
    (Verb.PLAY, "failed"): "done",
    (Verb.SAY, "failed"): "done",
    (Verb.SCHEDULE, "holiday"): "closed",
    (Verb.RECORD_CONSENT, "nothing"): "refused",
    (Verb.OFFER, "nothing"): "declined",
    (Verb.ENQUEUE, "callback"): "left_by_key",
    (Verb.ENQUEUE, "voicemail"): "timeout",
}
#: Events that are the end of a flow where it has no more to do.
ENDS: Final[Mapping[tuple[Verb, str], Ended]] = {
    (Verb.ENQUEUE, "answered"): Ended.ANSWERED,
    (Verb.DIAL, "answered"): Ended.ANSWERED,
    (Verb.TRANSFER, "done"): Ended.TRANSFERRED,
}


def begin(flow: Flow, *, variables: Mapping[str, Any], language: str = "") -> Position:
    """Before the first state. `step` it with `Began()`."""
    known = language if language in LANGUAGES else flow.language
    clean = dict(list(clean_values(variables).items())[:MOST_VARIABLES])
    return Position(flow.name, flow.initial_state, clean, 0, known)


def go_on(flow: Flow, before: Position) -> Position:
    """Before the first state of a flow that another leads to, with what is known."""
    at = begin(flow, variables=before.variables, language=before.language)
    return replace(at, served=before.served, errors=before.errors, walked=before.walked)


def step(flow: Flow, position: Position, event: Event, *, now: datetime) -> Step:
    """What is to be done now that this has happened. It never raises; `now` is aware.

    `Began()` in the midst begins the state anew: a server that takes a call over starts so.
    """
    if position.ended:
        return Step(position, None)
    if isinstance(event, HungUp):
        passed = (Passed(position.state, "hung_up"),)
        return Step(replace(position, ended=Ended.LEFT.value), None, passed)
    return _Way(flow, position, now).take(event)


class _Way:
    """One step that is being made."""

    def __init__(self, flow: Flow, position: Position, now: datetime) -> None:
        self.flow, self.at = flow, position
        zone = hours.zone_of(flow.zone) or hours.zone_of(str(position.variables.get("zone") or ""))
        self.now = now.astimezone(zone or UTC)
        self.passed: list[Passed] = []

    def take(self, event: Event) -> Step:
        """The step of an event."""
        if self.at.phase == POLITE:
            return self.end(Ended.FAILED, HangUp())
        state = self.flow.states.get(self.at.state)
        if state is None or self.at.walked >= MOST_WALKED:
            return self.polite()
        if isinstance(event, Began):
            self.arrive(self.at.state)
            result = verbs.enter(self.here())
        else:
            result = verbs.after(self.here(), event)
        for _ in range(MOST_STATES):
            if isinstance(result, verbs.Do):
                return self.do(result)
            step = self.leave(result)
            if step is not None:
                return step
            result = verbs.enter(self.here())
        return self.polite()

    def here(self) -> verbs.Here:
        """Where the call is."""
        return verbs.Here(self.flow, self.flow.states[self.at.state], self.at, self.now)

    def learn(self, values: Mapping[str, Value]) -> Mapping[str, Value]:
        """The variables with these; a call has `MOST_VARIABLES` at most."""
        known = {**self.at.variables, **clean_values(values)}
        return known if len(known) <= MOST_VARIABLES else self.at.variables

    def do(self, result: verbs.Do) -> Step:
        """Something is to be done."""
        at = replace(self.at, phase=result.phase, tries=result.tries, variables=self.learn(result.values))
        self.at = at
        if isinstance(result.action, HangUp):
            self.passed.append(Passed(at.state, "done"))
            return self.end(Ended.FINISHED, result.action)
        return Step(at, result.action, tuple(self.passed))

    def leave(self, result: verbs.Out) -> Step | None:
        """From a state to the next; a step where there is none."""
        state = self.flow.states[self.at.state]
        self.passed.append(Passed(state.name, result.event, result.collected))
        self.at = replace(
            self.at,
            variables=self.learn(result.values),
            language=result.language or self.at.language,
        )
        instead = INSTEAD.get((state.verb, result.event), "")
        end = ENDS.get((state.verb, result.event))
        for name in (result.event, instead, "default"):
            target = state.transitions.get(name, "")
            if target in self.flow.states:
                self.arrive(target)
                return None
        if end is not None:
            return self.end(end, None)
        if self.flow.on_error in self.flow.states and self.at.errors < MOST_ERRORS:
            self.at = replace(self.at, errors=self.at.errors + 1)
            self.arrive(self.flow.on_error)
            return None
        return self.polite()

    def arrive(self, name: str) -> None:
        """At the beginning of a state."""
        served = self.at.served or self.flow.states[name].serves
        walked = self.at.walked + 1
        self.at = replace(self.at, state=name, phase="", tries=0, served=served, walked=walked)

    def polite(self) -> Step:
        """Nothing is left to do but to say so."""
        self.at = replace(self.at, phase=POLITE, tries=0)
        return Step(self.at, Say(spoken.polite_end(self.at.language)), tuple(self.passed))

    def end(self, how: Ended, action: HangUp | None) -> Step:
        """The flow has ended."""
        self.at = replace(self.at, ended=how.value, phase="", tries=0)
        return Step(self.at, action, tuple(self.passed))
