"""The API of the board."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from aiohttp import web
from pydantic import Field

from dialer.agents.model import AgentState
from dialer.boards.model import STAGES, AtWork, CampaignCounted, CampaignNow, Counted, Now, QueueCounted
from dialer.boards.moving import Moved, MovingService
from dialer.boards.service import BoardService
from dialer.errors import NotFound, WrongState
from dialer.httpkit.access import Right
from dialer.httpkit.paging import MAX_ID
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In, Out
from dialer.reports.present import WaitingCallers

BOARDS = web.AppKey("boards", BoardService)
MOVING = web.AppKey("moving", MovingService)
routes = Routes("board")

#: Agents who are moved at once.
MOST_MOVED = 500


class AtWorkOut(Out):
    """An agent who is logged in."""

    agent_id: int
    name: str
    state: AgentState
    since: datetime = Field(description="when this state began")
    held_at: datetime | None = Field(
        description="the agent has put the customer on hold then; null: nobody is"
    )
    pause_code: str | None
    pause_limit_s: int | None = Field(description="how long such a pause may last; null: no limit")
    over_limit: bool = Field(description="the pause has lasted for longer")
    campaign_id: int | None = Field(description="of the call that the agent has; null: none")
    campaign: str | None
    queue: str | None = Field(description="where the caller waited, of a call that has come in")

    @classmethod
    def of(cls, one: AtWork, at: datetime) -> Self:
        """The reply of an agent."""
        return cls(
            agent_id=one.agent.id,
            name=one.agent.name,
            state=one.shift.state,
            since=one.shift.state_since,
            held_at=one.held_at,
            pause_code=one.shift.pause_code,
            pause_limit_s=one.pause_limit_s,
            over_limit=one.over_limit(at),
            campaign_id=one.campaign_id,
            campaign=one.campaign,
            queue=one.queue,
        )


class PaceNowOut(Out):
    """The latest pacing decision."""

    at: datetime
    dial: int
    why: str = Field(description="stable name of the reason")
    inputs: dict[str, float]


class CampaignNowOut(Out):
    """A campaign that runs or is paused."""

    id: int
    name: str
    status: str
    mode: str
    calls: dict[str, int] = Field(description="in_air (ringing ones too), ringing, waiting, talking")
    agents: dict[AgentState, int] = Field(description="who could take its calls, by state")
    pace: PaceNowOut | None
    attempts: int = Field(description="of today")
    connect_rate: float | None = Field(description="of today, 0 to 1")
    abandon_share: float | None = Field(description="within the policy's time, 0 to 1")
    abandon_limit: float
    abandon_window_s: int
    talks_closed: int = Field(description="talks of today with a disposition")
    conversion: float | None = Field(description="sales of them, 0 to 1")
    leads_left: int = Field(description="counted once a minute")
    ends_in_s: float | None = Field(
        description="how long the list lasts at the pace of the last half hour; null: it closed no lead"
    )

    @classmethod
    def of(cls, now: CampaignNow, counted: CampaignCounted) -> Self:
        """The reply of a campaign."""
        return cls(
            id=now.id,
            name=now.name,
            status=now.status,
            mode=now.mode,
            calls={name: now.stage(name) for name in STAGES},
            agents=dict(now.agents),
            pace=PaceNowOut.model_validate(now.pace) if now.pace else None,
            attempts=counted.attempts,
            connect_rate=counted.connect_rate,
            abandon_share=counted.abandon_share,
            abandon_limit=counted.abandon_limit,
            abandon_window_s=counted.abandon_window_s,
            talks_closed=counted.talks.closed,
            conversion=counted.talks.conversion,
            leads_left=counted.left,
            ends_in_s=counted.ends_in_s,
        )


class QueueNowOut(Out):
    """A queue of callers."""

    name: str
    waiting: int = Field(description="on the line")
    waiting_since: datetime | None = Field(description="when the one came who waits longest")
    kept: int = Field(description="who have hung up and kept their place")
    offered: int = Field(description="of today")
    service_level: float | None
    target_share: float
    target_s: int

    @classmethod
    def of(cls, now: WaitingCallers, counted: QueueCounted) -> Self:
        """The reply of a queue."""
        return cls(
            name=now.queue,
            waiting=now.many,
            waiting_since=now.since,
            kept=now.kept,
            offered=counted.offered,
            service_level=counted.service_level,
            target_share=counted.target_share,
            target_s=counted.target_s,
        )


class TrunkNowOut(Out):
    """A trunk."""

    id: int
    name: str
    channels: int = Field(description="lines in use")
    most: int
    bad: bool


class BoardOut(Out):
    """The whole centre at one moment."""

    at: datetime
    agents: list[AtWorkOut]
    by_state: dict[AgentState, int]
    calls: dict[str, int] = Field(description="of all campaigns")
    campaigns: list[CampaignNowOut]
    queues: list[QueueNowOut]
    trunks: list[TrunkNowOut]
    connect_rate: float | None = Field(description="of today, of all campaigns")
    abandon_rate: float | None
    conversion: float | None
    service_level: float | None

    @classmethod
    def of(cls, now: Now, counted: Counted) -> Self:
        """The reply."""
        return cls(
            at=now.at,
            agents=[AtWorkOut.of(one, now.at) for one in now.agents],
            by_state=now.by_state,
            calls={name: now.stage(name) for name in STAGES},
            campaigns=[
                # One that has begun between the two looks is there at the next.
                CampaignNowOut.of(one, counted.campaigns[one.id])
                for one in now.campaigns
                if one.id in counted.campaigns
            ],
            queues=[QueueNowOut.of(now.in_queue(name), one) for name, one in counted.queues.items()],
            trunks=[TrunkNowOut.model_validate(one) for one in now.trunks],
            connect_rate=counted.connect_rate,
            abandon_rate=counted.abandon_rate,
            conversion=counted.talks.conversion,
            service_level=counted.service_level,
        )


@routes.get("/board", right=Right.REPORTS_READ)
async def board(call: Call) -> BoardOut:
    """The whole centre now: agents, campaigns, queues, trunks, and the sums of the day."""
    service = call.app[BOARDS]
    return BoardOut.of(await service.now(call.actor), await service.counted(call.actor))


class MoveIn(In):
    """Who is to work in which campaign."""

    agents: list[Annotated[int, Field(ge=1, le=MAX_ID)]] = Field(min_length=1, max_length=MOST_MOVED)
    to: int = Field(ge=1, le=MAX_ID, description="the campaign")
    from_: int | None = Field(
        None,
        alias="from",
        ge=1,
        le=MAX_ID,
        description="the campaign that they leave; null: all others that run or are paused",
    )


class MovedOut(Out):
    """What was changed."""

    agents: int = Field(description="whose skills were changed")
    given: list[str] = Field(description="skills that the campaign asks for")
    taken: list[str] = Field(description="skills that the campaigns ask for which they leave")
    still: list[str] = Field(description="campaigns that ask for no skill and so can still have them")

    @classmethod
    def of(cls, moved: Moved) -> Self:
        """The reply."""
        return cls.model_validate(moved)


@routes.post("/agents/move", right=Right.AGENTS_EDIT, errors=(NotFound, WrongState))
async def move(call: Call, body: MoveIn) -> MovedOut:
    """Have agents work in another campaign: they get the skill that it asks for, and lose those of the
    campaigns that they leave. The next call goes by it."""
    return MovedOut.of(await call.app[MOVING].move(call.actor, body.agents, to=body.to, leaving=body.from_))
