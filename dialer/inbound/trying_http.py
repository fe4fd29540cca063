"""Flows are tried by API."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from aiohttp import web
from pydantic import Field, StringConstraints

from dialer.errors import BadFlow, Invalid
from dialer.httpkit.access import Right
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import Line, Moment, Out
from dialer.inbound.http import FlowIn
from dialer.inbound.trying import CALLER, DIALLED, Trial, Trials
from ivr_flows.model import Ended
from ivr_flows.rehearsal import Rehearsal

TRIALS = web.AppKey("trials", Trials)
routes = Routes("inbound")

Word = Annotated[Line, StringConstraints(max_length=1000)]


class TrialIn(FlowIn):
    """A flow, and how it is tried."""

    words: list[Word] = Field(
        [],
        max_length=500,
        description="what happens, in order: keys, `-` silence, `!` hang-up, or an event of the state, with"
        " values as in `found:name=Anna;vip=yes`",
    )
    at: Moment | None = Field(None, description="when the call comes; left out: now")
    caller: Word = CALLER
    dialled: Word = DIALLED
    language: Literal["ru", "en", ""] = Field("", description="empty: the flow's")
    variables: dict[Word, str | int | float | bool | None] = Field(
        {}, max_length=100, description="what is known besides: contact.name"
    )
    answers: dict[Word, Word] = Field(
        {},
        max_length=1000,
        description="state -> a word for whatever is asked there, each time, in place of the next of `words`",
    )

    def trial(self) -> Trial:
        """How it is tried."""
        return Trial(**{name: getattr(self, name) for name in Trial.__dataclass_fields__})


class LineOut(Out):
    """One thing that happened."""

    kind: Literal["heard", "did", "said", "passed"] = Field(
        description="heard by the caller; an action; a word of yours; a state was left by an event"
    )
    text: str
    state: str
    about: dict[str, Any] = Field(description="members of the action, or what was collected")


class PlayedOut(Out):
    """How far the words have led."""

    lines: list[LineOut]
    state: str = Field(description="where the call is")
    ended: Ended | None = Field(description="null: it waits for a word, or was stopped, for it goes round")
    served: bool
    waits: str | None = Field(description="the action that waits for the next word")
    choices: list[str] = Field(
        description="what may become of it, the usual first; empty: keys are asked for"
    )
    language: str
    variables: dict[str, Any]

    @classmethod
    def of(cls, played: Rehearsal) -> Self:
        """The reply."""
        at = played.position
        return cls(
            lines=[LineOut.model_validate(one) for one in played.lines],
            state=at.state,
            ended=Ended(at.ended) if at.ended else None,
            served=at.served,
            waits=type(played.waits).__name__ if played.waits is not None else None,
            choices=list(played.choices),
            language=at.language,
            variables=dict(at.variables),
        )


@routes.post(
    "/inbound/flows/simulate", right=Right.CAMPAIGNS_READ, errors=(BadFlow, Invalid), idempotent=False
)
async def simulate(call: Call, body: TrialIn) -> PlayedOut:
    """Play a flow as far as the words lead. Nobody is called, nothing is kept."""
    written = body.document if body.document is not None else body.yaml or ""
    return PlayedOut.of(await call.app[TRIALS].play(call.actor, written, body.trial()))
