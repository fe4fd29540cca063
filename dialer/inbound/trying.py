"""Flows are tried without a call: by whom, when, and with which answers of the world is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dialer.clock import utc_now
from dialer.db import tenants
from dialer.db.session import Database
from dialer.errors import BadFlow, Invalid
from dialer.hours import store as hours
from dialer.httpkit.access import Actor, Right
from dialer.inbound import store
from dialer.said import told
from ivr_flows import loader
from ivr_flows.model import Flow, Value
from ivr_flows.rehearsal import Rehearsal, event_of, rehearse

#: Who is said to call, where it is not said.
CALLER, DIALLED = "+79161234567", "+74951234567"


@dataclass(frozen=True, slots=True)
class Trial:
    """How a flow is tried."""

    #: what the caller does and what becomes of each action, in order: see `rehearsal.event_of`
    words: Sequence[str] = ()
    #: None: now
    at: datetime | None = None
    caller: str = CALLER
    dialled: str = DIALLED
    #: ru, en; empty: the flow's
    language: str = ""
    #: further variables: contact.name
    variables: Mapping[str, Value] = field(default_factory=dict)
    #: state -> the word for whatever is asked there, in place of the next of `words`
    answers: Mapping[str, str] = field(default_factory=dict)


class Trials:
    """Plays flows for whoever writes them. Hours and other flows are those of the tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def play(self, actor: Actor, document: Mapping[str, Any] | str, trial: Trial) -> Rehearsal:
        """Play values or YAML as far as the words lead. Raises BadFlow, Invalid."""
        actor.require(Right.CAMPAIGNS_READ)
        flow = (
            loader.load(document, source="") if isinstance(document, str) else loader.from_document(document)
        )
        async with self._database.tenant(actor.tenant_id) as conn:
            zone = await tenants.zone(conn, actor.tenant_id)
            openings = {one.name: one for one in await hours.openings(conn, actor.tenant_id)}
            used = await store.in_use(conn, actor.tenant_id)
        live = {one.flow: one.document for one in used if one.state == "live"} | {flow.name: flow.document}
        now = trial.at or utc_now()
        _check(trial)

        def opening(name: str) -> str | None:
            return openings[name].state(now, zone) if name in openings else None

        given = {"caller": trial.caller, "dialled": trial.dialled, "zone": zone.key}
        return rehearse(
            flow,
            trial.words,
            now=now,
            variables={**trial.variables, **given},
            language=trial.language,
            other=lambda name: _other(live, name),
            answers=trial.answers,
            hours=opening,
        )


def _check(trial: Trial) -> None:
    for name, words in (("words", trial.words), ("answers", trial.answers.values())):
        for word in words:
            try:
                event_of(word)
            except ValueError:
                reason = told(
                    "“{word}” is neither keys nor an event with values like found:name=Anna", word=word
                )
                raise Invalid(field=name, reason=reason) from None


def _other(live: Mapping[str, Mapping[str, Any]], name: str) -> Flow | None:
    """The flow that `goto_flow` names, as callers are led by it."""
    try:
        return loader.from_document(live[name]) if name in live else None
    except BadFlow:
        return None
