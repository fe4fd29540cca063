"""Which flows a customer can go through after a talk with an agent, and what their questions are called.

Whoever has talked is not put into a queue again, nor led away: such a flow speaks, asks, and ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from ivr_flows.model import Flow, Verb
from ivr_flows.properties import GatherProperties, MenuProperties

#: What its states may do.
FITS: Final = frozenset(
    {
        *(Verb.PLAY, Verb.SAY, Verb.GATHER, Verb.MENU, Verb.SET, Verb.LOOKUP, Verb.CONDITION, Verb.SCHEDULE),
        *(Verb.RECORD_CONSENT, Verb.OPT_OUT, Verb.HTTP_REQUEST, Verb.HANGUP),
    }
)


def misfits(flow: Flow) -> Sequence[str]:
    """The states, by name, that have no place after a talk."""
    return [state.name for state in flow.states.values() if state.verb not in FITS]


def questions(flow: Flow) -> Mapping[str, str]:
    """What is asked, in the order of the states: the variable that gets the answer -> a title for people."""
    found: dict[str, str] = {}
    for state in flow.states.values():
        if isinstance(state.properties, GatherProperties | MenuProperties) and state.properties.into:
            found.setdefault(state.properties.into, state.title or state.properties.into)
    return found
