"""Scripts, and the talks that go by them, over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, Self
from uuid import UUID

from aiohttp import web
from pydantic import AwareDatetime, Field, model_validator

from dialer.errors import BadScript, Conflict, Invalid, NotFound, WrongState
from dialer.httpkit.access import Right
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In, Out
from dialer.scripts.service import MOST_EVENTS, ScriptService
from dialer.scripts.showing import Shown
from dialer.scripts.walking import Answered, Back, Done, Event, Left, Went
from ivr_flows.yamlfile import MOST_BYTES

SCRIPTS = web.AppKey("scripts", ScriptService)

routes = Routes("scripts")

What = Literal["go", "answer", "do", "back", "exit"]


class ScriptIn(In):
    """A script."""

    document: dict[str, Any] | None = Field(
        None, description="as docs/scripts.md has it; it names the script"
    )
    yaml: str | None = Field(
        None, max_length=MOST_BYTES, description="the same as YAML, in its place; its comments are kept"
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.document is None) == (self.yaml is None):
            raise ValueError("either document or yaml is given")
        return self


class TextIn(In):
    """The text of a script."""

    yaml: str = Field(max_length=MOST_BYTES)


class EventIn(In):
    """What has happened in a talk."""

    what: What = Field(
        description="go: it was said; answer: the customer has answered; do: carry out the step's action;"
        " back: one step back; exit: an exit is taken"
    )
    answer: str = Field("", max_length=2_000, description="of a choice its key, of a yes or no yes or no")
    exit: str = Field("", max_length=63)

    def event(self) -> Event:
        """As the rules have it."""
        match self.what:
            case "answer":
                return Answered(self.answer)
            case "do":
                return Done()
            case "back":
                return Back()
            case "exit":
                return Left(self.exit)
            case "go":
                return Went()


class StepIn(EventIn):
    """What has happened in a talk, at which step."""

    step: str = Field(max_length=63, description="the step that was shown; a talk that is elsewhere refuses")


class RehearsalIn(TextIn):
    """A script that is tried without a call."""

    events: list[EventIn] = Field(max_length=MOST_EVENTS, description="all that has happened, oldest first")


class ScriptOut(Out):
    """A script."""

    id: int
    name: str
    live_version: int | None = Field(description="null: none was published")
    last_version: int | None


class VersionOut(Out):
    """What a script says in a version."""

    script: str
    version: int
    state: Literal["draft", "live", "retired"]
    document: dict[str, Any]
    made_by: int | None
    made_at: datetime


class ProblemOut(Out):
    """What is wrong with a text."""

    line: int = Field(description="from 1; 0: not known")
    path: str
    code: str
    text: str


class CheckOut(Out):
    """All that is wrong with a text."""

    problems: list[ProblemOut]


class ExitOut(Out):
    """A way that is open at every step."""

    name: str
    title: str
    kind: str


class CollectedOut(Out):
    """A question that was answered."""

    name: str
    text: str
    answer: str


class ShownOut(Out):
    """Where a talk is."""

    script: str
    title: str
    step: str
    type: Literal["text", "question", "action", "knowledge", "end"]
    text: str = Field(description="with its variables filled in")
    kind: str | None = Field(description="of the question")
    required: bool
    choices: dict[str, str] = Field(description="of the question: what is kept -> what is shown")
    answer: str = Field(description="given before; empty: none")
    action: str | None
    values: dict[str, str] = Field(description="what the action is told")
    done: bool = Field(description="the action was carried out before")
    query: str = Field(description="what is looked for")
    exits: list[ExitOut]
    back: bool = Field(description="one can go back")
    ended: bool
    collected_answers: int = Field(description="required questions that are answered")
    required_answers: int = Field(description="required questions that the talk is about")
    answers: list[CollectedOut]

    @classmethod
    def of(cls, shown: Shown) -> Self:
        """The reply of a step."""
        question = shown.question
        return cls(
            script=shown.script,
            title=shown.title,
            step=shown.step,
            type=shown.type,  # type: ignore[arg-type]
            text=shown.text,
            kind=question.kind if question else None,
            required=question.required if question else False,
            choices=question.choices if question else {},
            answer=shown.answer,
            action=shown.action,
            values=dict(shown.values),
            done=shown.done,
            query=shown.query,
            exits=[ExitOut(name=one.name, title=one.title, kind=one.kind) for one in shown.exits],
            back=shown.back,
            ended=shown.ended,
            collected_answers=shown.collected,
            required_answers=shown.required,
            answers=[CollectedOut.model_validate(one) for one in shown.answers],
        )


class FiguresQuery(In):
    """A span of time."""

    since: AwareDatetime
    until: AwareDatetime


class FiguresOut(Out):
    """What talks by a script came to."""

    talks: int
    ended: int = Field(description="in which the last words were reached")
    required: int = Field(description="required questions that the talks were about")
    collected: int = Field(description="of these, answered")
    share: float | None = Field(description="collected of required; null: there were none")


@routes.get("/scripts", right=Right.CAMPAIGNS_READ)
async def scripts(call: Call) -> list[ScriptOut]:
    """All scripts, by name."""
    return [ScriptOut.model_validate(one) for one in await call.app[SCRIPTS].scripts(call.actor)]


@routes.post("/scripts", right=Right.CAMPAIGNS_EDIT, status=201, errors=(BadScript,))
async def write(call: Call, body: ScriptIn) -> VersionOut:
    """A new draft of the script that the document names. No talk is led by it before it is published."""
    written = body.document if body.document is not None else body.yaml or ""
    return VersionOut.model_validate(await call.app[SCRIPTS].write(call.actor, written))


@routes.post("/scripts/check", right=Right.CAMPAIGNS_READ)
async def check(call: Call, body: TextIn) -> CheckOut:
    """All that is wrong with the text of a script."""
    checked = await call.app[SCRIPTS].check(call.actor, body.yaml)
    return CheckOut(problems=[ProblemOut.model_validate(one) for one in checked.problems])


@routes.post(
    "/scripts/rehearse", right=Right.CAMPAIGNS_READ, errors=(BadScript, Invalid, NotFound, WrongState)
)
async def rehearse(call: Call, body: RehearsalIn) -> ShownOut:
    """Where a talk would be after these events. Nobody is called, and nothing is kept or carried out."""
    happened = [one.event() for one in body.events]
    return ShownOut.of(await call.app[SCRIPTS].rehearse(call.actor, body.yaml, happened))


@routes.get("/scripts/{name}/versions", right=Right.CAMPAIGNS_READ, errors=(NotFound,))
async def versions(call: Call, name: str) -> list[VersionOut]:
    """All versions of a script, newest first."""
    return [VersionOut.model_validate(one) for one in await call.app[SCRIPTS].versions(call.actor, name)]


@routes.get("/scripts/{name}/versions/{version}", right=Right.CAMPAIGNS_READ, errors=(NotFound,))
async def version(call: Call, name: str, version: int) -> VersionOut:
    """What a script says in a version."""
    return VersionOut.model_validate(await call.app[SCRIPTS].version(call.actor, name, version))


@routes.post(
    "/scripts/{name}/versions/{version}/publish",
    right=Right.CAMPAIGNS_EDIT,
    errors=(BadScript, NotFound),
)
async def publish(call: Call, name: str, version: int) -> ScriptOut:
    """Have talks that begin from now on led by this version. Talks under way keep theirs."""
    return ScriptOut.model_validate(await call.app[SCRIPTS].publish(call.actor, name, version))


@routes.get("/scripts/{name}/figures", right=Right.REPORTS_READ, errors=(NotFound,))
async def figures(call: Call, name: str, query: FiguresQuery) -> FiguresOut:
    """What the talks came to that began in a span of time."""
    found = await call.app[SCRIPTS].figures(call.actor, name, query.since, query.until)
    return FiguresOut(
        talks=found.talks,
        ended=found.ended,
        required=found.required,
        collected=found.collected,
        share=found.collected / found.required if found.required else None,
    )


@routes.get("/calls/{call_id}/script", right=None, errors=(NotFound,))
async def of_call(call: Call, call_id: UUID) -> ShownOut:
    """Where the talk of a call is in its script; one's own call, or with the right anybody's."""
    found = await call.app[SCRIPTS].of_call(call.actor, call_id)
    if found is None:
        raise NotFound(what="script of the call", key=call_id)
    return ShownOut.of(found)


@routes.post("/calls/{call_id}/script", right=None, errors=(NotFound, Conflict, Invalid, WrongState))
async def act(call: Call, call_id: UUID, body: StepIn) -> ShownOut:
    """Lead a talk on by its script; with the reply the answer is kept."""
    return ShownOut.of(await call.app[SCRIPTS].act(call.actor, call_id, body.step, body.event()))
