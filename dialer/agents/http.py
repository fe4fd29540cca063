"""The API of agents and their shifts: by an agent for oneself (`me`), by a supervisor for anybody."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import datetime
from typing import Annotated, Self

from aiohttp import web
from pydantic import Field, field_validator

from dialer.agents.model import (
    HIGHEST_RANK,
    LOWEST_RANK,
    USUAL_LEVEL,
    USUAL_RANK,
    Agent,
    AgentState,
    Phone,
    Shift,
    Takes,
)
from dialer.agents.phones import BrowserPhones, OpenedPhone
from dialer.agents.service import AgentService
from dialer.errors import AsteriskUnavailable, Conflict, NotFound, WrongState
from dialer.httpkit.access import Right
from dialer.httpkit.paging import MAX_ID
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In, Line, Out, form

AGENTS = web.AppKey("agents", AgentService)
PHONES = web.AppKey("browser_phones", BrowserPhones)
routes = Routes("agents")

Skill = Annotated[Line, Field(min_length=1, max_length=50)]
Rank = Annotated[
    int,
    Field(
        ge=LOWEST_RANK,
        le=HIGHEST_RANK,
        description=f"{LOWEST_RANK} to {HIGHEST_RANK}: of the agents who are free the highest takes a call, "
        "of equals the longest idle",
    ),
]

#: skill -> level
Levels = dict[
    Skill,
    Annotated[int, Field(ge=LOWEST_RANK, le=HIGHEST_RANK, description="1 to 9")],
]


class ShiftOut(Out):
    """An agent's shift, from log-in to log-out."""

    id: str
    state: AgentState
    since: datetime = Field(description="when this state began")
    idle_since: datetime = Field(
        description="end of the last talk, or log-in: of one rank the longest idle is next"
    )
    pause_code: str | None
    attempt_id: str | None = Field(description="the call that the agent is reserved for, in, or wraps up")
    lead_id: int | None = Field(description="preview: the lead that is shown and not yet dialled")
    next_state: AgentState | None = Field(description="asked for meanwhile: follows the present call")
    next_pause_code: str | None
    phone: Phone = Field(description="what the agent talks with")
    phone_up: bool = Field(description="the phone is connected and waits for customers")

    @classmethod
    def of(cls, shift: Shift) -> Self:
        """The reply of a shift."""
        return cls(
            id=str(shift.id),
            state=shift.state,
            since=shift.state_since,
            idle_since=shift.idle_since,
            pause_code=shift.pause_code,
            attempt_id=str(shift.attempt_id) if shift.attempt_id else None,
            lead_id=shift.lead_id,
            next_state=shift.next_state,
            next_pause_code=shift.next_pause_code,
            phone=Phone.BROWSER if shift.browser else Phone.SIP,
            phone_up=shift.phone_up,
        )


class AgentOut(Out):
    """A person at a phone."""

    id: int
    user_id: int = Field(description="who logs in")
    name: str
    endpoint: str = Field(description="name of the phone: its PJSIP endpoint and SIP user")
    skills: list[str]
    levels: dict[str, int] = Field(
        description=f"of each skill, 1 to 9: queues ask for a least level; {USUAL_LEVEL} where none was given"
    )
    rank: int = Field(
        description="1 to 9: of the free agents the highest takes a call, of equals the longest idle"
    )
    takes: Takes = Field(description="which calls: of who calls us (inbound), that we make (outbound), both")
    enabled: bool = Field(description="works here: was not switched off, and the user can log in")
    shift: ShiftOut | None = Field(description="null: not logged in")

    @classmethod
    def of(cls, agent: Agent, shift: Shift | None) -> Self:
        """The reply of an agent."""
        return cls(
            id=agent.id,
            user_id=agent.user_id,
            name=agent.name,
            endpoint=agent.endpoint,
            skills=sorted(agent.skills),
            levels=dict(sorted(agent.levels.items())),
            rank=agent.rank,
            takes=agent.takes,
            enabled=agent.enabled,
            shift=ShiftOut.of(shift) if shift else None,
        )


class MadeAgentOut(AgentOut):
    """A new agent, with what is shown once."""

    sip_password: str | None = Field(
        description="the phone's password, shown this once; null: the phone is made elsewhere"
    )


class AgentIn(In):
    """A user to be made an agent."""

    user_id: int = Field(ge=1, le=MAX_ID)
    name: Line = Field(min_length=1, max_length=100, description="the name that people see")
    endpoint: str = Field(
        pattern=form(
            r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,49}$",
            "must be 1 to 50 characters of A-Z, a-z, 0-9 and . _ -, a letter or a digit first",
        ),
        description="name of the phone: its PJSIP endpoint and SIP user",
    )
    skills: list[Skill] = Field(default=[], max_length=50)
    levels: Levels = Field(default={}, max_length=50, description="levels of skills among `skills`")
    rank: Rank = USUAL_RANK
    takes: Takes = Takes.BOTH

    @field_validator("endpoint")
    @classmethod
    def _free_name(cls, value: str) -> str:
        # Names that the managed configuration gives to trunks and to parts of its own.
        if value.startswith(("dozvon-", "trunk-")) or value in ("global", "system"):
            raise ValueError("is a name of the server's own")
        if value.endswith(("-auth", "-identify", "-registration")):
            raise ValueError("is a name of the server's own")
        return value


class AgentEdit(In):
    """What is to be changed of an agent; fields that are left out stay."""

    skills: list[Skill] | None = Field(default=None, max_length=50)
    levels: Levels | None = Field(
        default=None, max_length=50, description="of skills that the agent has; one that is not named stays"
    )
    rank: Rank | None = None
    takes: Takes | None = None


class PauseIn(In):
    """Why no calls are taken."""

    code: str = Field(min_length=1, max_length=50, description="one of the pause codes")


class LoginQuery(In):
    """What to talk with."""

    phone: Phone = Field(
        default=Phone.SIP, description="sip: the agent's phone; browser: the browser, see /agents/me/phone"
    )


class IceServerOut(Out):
    """A STUN or TURN server for the browser's voice."""

    urls: str
    username: str | None
    credential: str | None


class PhoneOut(Out):
    """How the browser registers."""

    endpoint: str = Field(description="SIP user; each request of the browser is from it")
    password: str = Field(
        description="good while the WebSocket is open, and two minutes more; the next one replaces it"
    )
    realm: str
    ice_servers: list[IceServerOut]

    @classmethod
    def of(cls, opened: OpenedPhone) -> Self:
        """The reply of a phone that was opened."""
        return cls(
            endpoint=opened.endpoint,
            password=opened.password,
            realm=opened.realm,
            ice_servers=[
                IceServerOut(urls=one.urls, username=one.username, credential=one.credential)
                for one in opened.ice_servers
            ],
        )


async def _after(call: Call, agent_id: int, change: Awaitable[object]) -> AgentOut:
    """The agent as it is after the change."""
    await change
    return AgentOut.of(*await call.app[AGENTS].agent(call.actor, agent_id))


# -- one's own; before {agent_id}, which would take "me" for an id -------------------------------------------


@routes.get("/agents/me", right=Right.WORK, errors=(NotFound,))
async def get_me(call: Call) -> AgentOut:
    """The agent that the caller is."""
    service = call.app[AGENTS]
    return AgentOut.of(*await service.agent(call.actor, await service.own_id(call.actor)))


@routes.post("/agents/me/login", right=Right.WORK, errors=(NotFound, WrongState))
async def log_me_in(call: Call, query: LoginQuery) -> AgentOut:
    """Begin a shift: the own phone is called, and stays connected until the log-out."""
    service = call.app[AGENTS]
    agent_id = await service.own_id(call.actor)
    browser = query.phone is Phone.BROWSER
    return await _after(call, agent_id, service.log_in(call.actor, agent_id, browser=browser))


@routes.post("/agents/me/phone", right=Right.WORK, errors=(NotFound, AsteriskUnavailable), idempotent=False)
async def open_my_phone(call: Call) -> PhoneOut:
    """Make the browser the caller's phone: the secret by which it registers over the WebSocket `/phone`. The
    one before it is no longer good."""
    return PhoneOut.of(await call.app[PHONES].open(call.actor))


@routes.post("/agents/me/ready", right=Right.WORK, errors=(NotFound, WrongState))
async def make_me_ready(call: Call) -> AgentOut:
    """Take calls from now on; in a call: go on taking calls after it."""
    service = call.app[AGENTS]
    agent_id = await service.own_id(call.actor)
    return await _after(call, agent_id, service.ready(call.actor, agent_id))


@routes.post("/agents/me/pause", right=Right.WORK, errors=(NotFound, WrongState))
async def pause_me(call: Call, body: PauseIn) -> AgentOut:
    """Take no calls; in a call: after it."""
    service = call.app[AGENTS]
    agent_id = await service.own_id(call.actor)
    return await _after(call, agent_id, service.pause(call.actor, agent_id, body.code))


@routes.post("/agents/me/logout", right=Right.WORK, errors=(NotFound,))
async def log_me_out(call: Call) -> AgentOut:
    """End the shift; in a call: after it."""
    service = call.app[AGENTS]
    agent_id = await service.own_id(call.actor)
    return await _after(call, agent_id, service.log_out(call.actor, agent_id))


@routes.post("/agents/me/skip-lead", right=Right.WORK, errors=(NotFound, WrongState))
async def skip_my_lead(call: Call) -> AgentOut:
    """Preview: pass the shown lead on; the next one is shown."""
    service = call.app[AGENTS]
    agent_id = await service.own_id(call.actor)
    return await _after(call, agent_id, service.skip_lead(call.actor, agent_id))


# -- everybody's ---------------------------------------------------------------------------------------------


@routes.get("/agents", right=Right.AGENTS_READ)
async def list_(call: Call) -> list[AgentOut]:
    """Every agent by name, with what each is doing."""
    return [AgentOut.of(agent, shift) for agent, shift in await call.app[AGENTS].agents(call.actor)]


@routes.post("/agents", right=Right.AGENTS_EDIT, status=201, errors=(Conflict, NotFound), idempotent=False)
async def create(call: Call, body: AgentIn) -> MadeAgentOut:
    """Make a user an agent with a phone. The phone's password is in this reply and nowhere else."""
    made = await call.app[AGENTS].create(
        call.actor,
        user_id=body.user_id,
        name=body.name,
        endpoint=body.endpoint,
        skills=body.skills,
        levels=body.levels,
        rank=body.rank,
        takes=body.takes,
    )
    plain = AgentOut.of(made.agent, None)
    return MadeAgentOut(**dict(plain), sip_password=made.sip_password)


@routes.get("/agents/{agent_id}")
async def get(call: Call, agent_id: int) -> AgentOut:
    """One agent."""
    return AgentOut.of(*await call.app[AGENTS].agent(call.actor, agent_id))


@routes.patch("/agents/{agent_id}", right=Right.AGENTS_EDIT, errors=(NotFound,))
async def edit(call: Call, agent_id: int, body: AgentEdit) -> AgentOut:
    """Give an agent another rank, other skills or levels, or other calls: the next call goes by them. What is
    left out stays."""
    change = call.app[AGENTS].change(
        call.actor, agent_id, rank=body.rank, skills=body.skills, levels=body.levels, takes=body.takes
    )
    return await _after(call, agent_id, change)


@routes.post("/agents/{agent_id}/login", errors=(WrongState,))
async def log_in(call: Call, agent_id: int) -> AgentOut:
    """Begin a shift of the agent: the phone is called."""
    return await _after(call, agent_id, call.app[AGENTS].log_in(call.actor, agent_id))


@routes.post("/agents/{agent_id}/ready", errors=(WrongState,))
async def ready(call: Call, agent_id: int) -> AgentOut:
    """Have the agent take calls; in a call: go on after it."""
    return await _after(call, agent_id, call.app[AGENTS].ready(call.actor, agent_id))


@routes.post("/agents/{agent_id}/pause", errors=(WrongState,))
async def pause(call: Call, agent_id: int, body: PauseIn) -> AgentOut:
    """Have the agent take no calls; in a call: after it."""
    return await _after(call, agent_id, call.app[AGENTS].pause(call.actor, agent_id, body.code))


@routes.post("/agents/{agent_id}/logout")
async def log_out(call: Call, agent_id: int) -> AgentOut:
    """End the agent's shift; in a call: after it."""
    return await _after(call, agent_id, call.app[AGENTS].log_out(call.actor, agent_id))


@routes.post("/agents/{agent_id}/skip-lead", errors=(WrongState,))
async def skip_lead(call: Call, agent_id: int) -> AgentOut:
    """Preview: pass on the lead that the agent is shown."""
    return await _after(call, agent_id, call.app[AGENTS].skip_lead(call.actor, agent_id))
