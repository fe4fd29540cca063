"""What is wrong with a flow that can be read: where a caller would be lost, and what does not exist."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from itertools import islice
from types import MappingProxyType
from typing import Final

from dialer.said import told
from ivr_flows.interpreter import ENDS, INSTEAD
from ivr_flows.model import EVENTS, Flow, Problem, State, Verb
from ivr_flows.naming import Named, namings
from ivr_flows.properties import (
    GIVEN,
    ConditionProperties,
    GatherProperties,
    GotoFlowProperties,
    HttpRequestProperties,
    LookupProperties,
    MenuProperties,
    RecordConsentProperties,
    SetProperties,
    is_key,
)  # fmt: skip
from ivr_flows.spoken import texts
from ivr_flows.templates import names

#: Events that a state must have a branch for, or `default`; the rest may go to `on_error` or the polite end.
NEEDED: Final[Mapping[Verb, tuple[str, ...]]] = {
    Verb.PLAY: ("done",),
    Verb.SAY: ("done",),
    Verb.GATHER: ("done",),
    Verb.SET: ("done",),
    Verb.LOOKUP: ("found", "unknown"),
    Verb.CONDITION: ("yes", "no"),
    Verb.SCHEDULE: ("open", "closed"),
    Verb.OFFER: ("accepted", "declined", "none"),
    Verb.REQUEST_CALLBACK: ("done",),
    Verb.VOICEMAIL: ("done",),
    Verb.RECORD_CONSENT: ("given", "refused"),
    Verb.OPT_OUT: ("done",),
    Verb.HTTP_REQUEST: ("done",),
}
#: Events that come only when somebody has done something, or has waited as the flow says: a loop through one
#: of them is no loop without input.
HUMAN: Final[Mapping[Verb, tuple[str, ...]]] = {
    Verb.GATHER: ("done", "invalid"),
    Verb.MENU: ("invalid",),  # and its keys
    Verb.ENQUEUE: ("answered", "timeout", "left_by_key", "callback", "voicemail"),
    Verb.DIAL: ("answered",),
    Verb.OFFER: ("accepted", "declined"),
    Verb.VOICEMAIL: ("done",),
    Verb.RECORD_CONSENT: ("given", "refused"),
}
#: What is said of a name that is not known, with its stable code.
NAMED: Final[Mapping[Named, tuple[str, str]]] = {
    Named.FLOW: ("no_flow", "there is no flow “{name}” that is published: {near}"),
    Named.SOUND: ("no_sound", "there is no sound “{name}” in {language}: {near}"),
    Named.HOST: ("host", "requests may not go to {name}: have an administrator allow this host"),
    Named.HOURS: ("no_hours", "there are no hours of the name “{name}”: {near}"),
    Named.PLACE: ("no_place", "no offer is kept for the place “{name}”: {near}"),
    Named.DESTINATION: ("no_destination", "there is no agent and no destination “{name}”: {near}"),
    Named.QUEUE: ("no_queue", "there is no queue “{name}”, and no agent has a skill of this name: {near}"),
}
#: So many problems of one check are told of at once: nobody reads more.
MOST: Final = 200
#: Verbs from which the call needs no next state.
LAST: Final = (Verb.HANGUP, Verb.GOTO_FLOW, Verb.TRANSFER, Verb.ENQUEUE, Verb.DIAL)
#: Where variables come from that no state sets.
ROOTS: Final = ("contact", "lead", "campaign", "call", "offer", *(verb.value for verb in Verb))


def problems(
    flow: Flow,
    known: Mapping[Named, Collection[str]] = MappingProxyType({}),
) -> tuple[Problem, ...]:
    """What is wrong, in the order of the text; of one check `MOST` at most. `known`: the names that there
    are; a kind that is not in it is not looked at."""
    return tuple(sorted(_Look(flow).all(known), key=lambda one: (one.line, one.path)))


def events_of(state: State) -> tuple[str, ...]:
    """All that a state can end with."""
    keys = tuple(event for event in state.transitions if is_key(event)) if state.verb is Verb.MENU else ()
    return (*keys, *EVENTS[state.verb])


def next_of(state: State, event: str) -> str:
    """Where a state's event leads by its own transitions; "" where it has no branch."""
    instead = INSTEAD.get((state.verb, event), event)
    if event not in state.transitions and instead not in state.transitions and (state.verb, event) in ENDS:
        return state.transitions.get("default", "")
    return next(
        (state.transitions[name] for name in (event, instead, "default") if name in state.transitions), ""
    )


class _Look:
    """A flow that is looked at."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        #: state -> where its branches lead
        self.ways = {
            name: {target for event in events_of(state) if (target := next_of(state, event)) in flow.states}
            for name, state in flow.states.items()
        }
        if flow.on_error in flow.states:
            for name, state in flow.states.items():
                if any(
                    not next_of(state, event) and (state.verb, event) not in ENDS
                    for event in events_of(state)
                ):
                    self.ways[name] = {*self.ways[name], flow.on_error}

    def bad(self, path: str, code: str, text: str, **names: object) -> Problem:
        """A problem with its line; `names` stand in the text."""
        at = path
        while at and at not in self.flow.lines:
            at = at.rpartition(".")[0]
        return Problem(self.flow.lines.get(at, 0), path, code, told(text, **names) if names else text)

    def all(self, known: Mapping[Named, Collection[str]]) -> Iterator[Problem]:
        """The problems of each check."""
        of_names = self.begins(), self.states(), self.names(known)
        of_ways = self.reached(), self.dead_ends(), self.loops()
        for check in (*of_names, *of_ways):
            yield from islice(check, MOST)

    def begins(self) -> Iterator[Problem]:
        """States that the flow itself names."""
        flow = self.flow
        for name in ("initial_state", "on_error"):
            target = getattr(flow, name)
            if target not in flow.states and (target or name == "initial_state"):
                near = _near(target, flow.states)
                yield self.bad(name, "no_state", "there is no state “{name}”: {near}", name=target, near=near)

    def states(self) -> Iterator[Problem]:
        """What is wrong with one of them."""
        for state in self.flow.states.values():
            yield from self.branches(state)
            yield from self.variables(state)

    def branches(self, state: State) -> Iterator[Problem]:
        """Transitions that lead nowhere, and events that need a branch."""
        path = f"states.{state.name}.transitions"
        for event, target in state.transitions.items():
            if target not in self.flow.states:
                near = _near(target, self.flow.states)
                yield self.bad(
                    f"{path}.{event}",
                    "no_state",
                    "there is no state “{name}”: {near}",
                    name=target,
                    near=near,
                )
        for event in NEEDED.get(state.verb, ()):
            if not next_of(state, event):
                yield self.bad(
                    path,
                    "no_branch",
                    "{verb} may end with “{event}” and has no branch for it: add {event}: or default:",
                    verb=state.verb.value,
                    event=event,
                )
        if state.verb is Verb.MENU and not any(map(is_key, state.transitions)):
            yield self.bad(path, "no_key", "a menu needs a key among its transitions: '1': name of a state")
        about = state.properties
        if isinstance(about, MenuProperties):
            for key in about.values:
                if key not in state.transitions:
                    where = f"states.{state.name}.properties.values.{key}"
                    yield self.bad(
                        where, "no_key", "the key {key} is not among the menu's transitions", key=key
                    )

    def names(self, known: Mapping[Named, Collection[str]]) -> Iterator[Problem]:
        """Names of other things that are not there."""
        for one in namings(self.flow):
            names = known.get(one.kind)
            if names is None or one.known(names):
                continue
            code, text = NAMED[one.kind]
            in_language = {name.removeprefix(f"{one.language}/") for name in names} if one.language else names
            about = {"name": one.name, "language": one.language, "near": _near(one.name, in_language)}
            yield self.bad(one.path, code, text, **about)

    def variables(self, state: State) -> Iterator[Problem]:
        """Variables that nothing sets."""
        known = self.known
        about = state.properties
        used = {name for text in texts(about) for name in _names(text)}
        if isinstance(about, ConditionProperties):
            used |= {test.variable for test in (*about.all, *about.any)}
        for name in sorted(used):
            if name not in known and name.partition(".")[0] not in (*ROOTS, *self.prefixes):
                path, near = f"states.{state.name}.properties", _near(name, known)
                yield self.bad(
                    path,
                    "no_variable",
                    "nothing sets the variable {name}: {near}",
                    name=f"{{{name}}}",
                    near=near,
                )

    @cached_property
    def known(self) -> set[str]:
        """The variables that the call or a state sets."""
        found = {*GIVEN, "campaign", "queue", "node"}
        for state in self.flow.states.values():
            about = state.properties
            if isinstance(about, SetProperties):
                found |= set(about.values)
            elif isinstance(about, HttpRequestProperties):
                found |= set(about.into)
            elif isinstance(about, GatherProperties | MenuProperties) and about.into:
                found.add(about.into)
            elif isinstance(about, RecordConsentProperties):
                found.add(f"consent.{about.purpose}")
        return found

    @cached_property
    def prefixes(self) -> set[str]:
        """The first names of what look-ups bring."""
        every = (state.properties for state in self.flow.states.values())
        return {about.into.partition(".")[0] for about in every if isinstance(about, LookupProperties)}

    def reached(self) -> Iterator[Problem]:
        """States that no call comes to."""
        if self.flow.initial_state not in self.flow.states:
            return
        seen, ahead = set[str](), [self.flow.initial_state]
        while ahead:
            name = ahead.pop()
            if name not in seen:
                seen.add(name)
                ahead += self.ways[name]
        for name in self.flow.states:
            if name not in seen:
                text = told("no call comes here: lead a transition to it, or take it out")
                yield self.bad(f"states.{name}", "unreachable", text)

    def dead_ends(self) -> Iterator[Problem]:
        """States from which no way leads to an end."""
        before = defaultdict[str, set[str]](set)
        for name, targets in self.ways.items():
            for target in targets:
                before[target].add(name)
        good = set[str]()
        ahead = [name for name, state in self.flow.states.items() if state.verb in LAST]
        while ahead:
            name = ahead.pop()
            if name not in good:
                good.add(name)
                ahead += before[name]
        for name, state in self.flow.states.items():
            if name not in good and state.transitions:
                text = told(
                    "from here no way leads to an end (hangup, enqueue, dial, transfer, goto_flow): add one"
                )
                yield self.bad(f"states.{name}", "dead_end", text)
            elif name not in good and state.verb not in NEEDED and state.verb is not Verb.MENU:
                yield self.bad(f"states.{name}", "dead_end", "it has no transitions: say what comes next")

    def loops(self) -> Iterator[Problem]:
        """Rounds that a call can make for ever while the caller does nothing."""
        ways = {
            name: {
                target: event
                for event in events_of(state)
                if event not in HUMAN.get(state.verb, ()) and not is_key(event)
                if (target := next_of(state, event)) in self.flow.states
            }
            for name, state in self.flow.states.items()
        }
        again = self.flow.initial_state
        for name, state in self.flow.states.items():
            about = state.properties
            if isinstance(about, GotoFlowProperties) and about.flow == self.flow.name and again in ways:
                ways[name].setdefault(again, "")  # the flow from its beginning
        for round_ in _rounds(ways):
            shown = " → ".join((*round_, round_[0]))
            event, state = ways[round_[-1]].get(round_[0], ""), self.flow.states[round_[-1]]
            path = f"states.{state.name}.transitions"
            if not event and state.verb is Verb.GOTO_FLOW:
                path = f"states.{state.name}.properties.flow"
            elif (branch := event or "default") in state.transitions:
                path = f"{path}.{branch}"
            yield self.bad(
                path,
                "loop",
                "a caller who does nothing goes round for ever: {way}; lead one of these events elsewhere",
                way=shown,
            )


def _rounds(ways: Mapping[str, Mapping[str, str]]) -> Iterator[list[str]]:
    """One round of each knot of a graph; without recursion, for it may be a thousand states long."""
    done = set[str]()
    for start in ways:
        if start in done:
            continue
        way: list[str] = []
        on_way = set[str]()
        stack: list[tuple[str, Iterator[str]]] = []
        name: str | None = start
        while True:
            if name is not None:
                way.append(name)
                on_way.add(name)
                stack.append((name, iter(ways[name])))
            at, rest = stack[-1]
            name = None
            for target in rest:
                if target in on_way:
                    yield way[way.index(target) :]
                elif target not in done:
                    name = target
                    break
            else:
                stack.pop()
                way.pop()
                on_way.discard(at)
                done.add(at)
                if not stack:
                    break


def _names(text: str) -> Iterator[str]:
    try:
        yield from names(text)
    except ValueError:
        return  # no template: a name of a queue may have a brace


def _near(name: str, known: Collection[str]) -> str:
    """A word of help: what may have been meant."""
    low = name.casefold()
    like = [
        one for one in known if one.casefold() == low or (len(low) > 2 and one.casefold().startswith(low[:3]))
    ]
    shown = sorted(like or known)[:6]
    return told("there are {names}", names=", ".join(shown)) if shown else told("there are none yet")
