"""The API of what-if."""

from __future__ import annotations

from typing import Literal, Self

from aiohttp import web
from pydantic import Field

from dialer.boards.what_if import Outcome
from dialer.boards.what_if_service import Answer, Change, WhatIfService
from dialer.errors import Conflict, Invalid, NotFound
from dialer.httpkit.access import Right
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In, Out

WHAT_IF = web.AppKey("what_if", WhatIfService)
routes = Routes("board")


class WhatIfIn(In):
    """What would be changed; what is left out stays."""

    agents_more: int = Field(0, ge=-300, le=300, description="less than 0: so many fewer")
    abandon_target: float | None = Field(
        None, gt=0, le=1, description="predictive: the highest share of abandoned calls"
    )
    ratio: float | None = Field(None, ge=1, le=10, description="power: calls an agent")
    mode: Literal["progressive", "power", "predictive"] | None = None

    @property
    def change(self) -> Change:
        """As the service takes it."""
        return Change(self.agents_more, self.abandon_target, self.ratio, self.mode)


class OutcomeOut(Out):
    """What a setting gives in the simulator."""

    agents: int
    mode: str
    contacts_per_hour: float = Field(description="talks of all agents")
    dials_per_hour: float
    occupancy: float = Field(description="talk and wrap-up of the time on duty, 0 to 1")
    abandon_share: float
    wait_p95_s: float | None = Field(description="95 % of who answer wait no longer for an agent")
    idle_s: float | None = Field(description="an agent waits so long between two calls")
    lines_mean: float
    answers: int = Field(description="that were simulated: how sure it is")
    ends_in_s: float | None = Field(description="how long the list lasts; null: not known")

    @classmethod
    def of(cls, found: Outcome, ends_in_s: float | None) -> Self:
        """The reply of a setting."""
        names = set(cls.model_fields) - {"agents", "mode", "ends_in_s"}
        values = {name: getattr(found, name) for name in names}
        setting = {"agents": found.setting.agents, "mode": found.setting.mode}
        return cls.model_validate(values | setting | {"ends_in_s": ends_in_s})


class WhatIfOut(Out):
    """Both settings in the world of the campaign's latest calls."""

    now: OutcomeOut
    then: OutcomeOut
    abandon_limit: float = Field(description="what the policy allows")
    attempts: int = Field(description="the latest calls that the world is made of")
    talks: int

    @classmethod
    def of(cls, answer: Answer) -> Self:
        """The reply."""
        return cls(
            now=OutcomeOut.of(answer.now, answer.ends_in_s),
            then=OutcomeOut.of(answer.then, answer.then_ends_in_s),
            abandon_limit=answer.abandon_limit,
            attempts=answer.known.attempts,
            talks=answer.known.talks,
        )


@routes.post(
    "/campaigns/{campaign_id}/what-if",
    right=Right.CAMPAIGNS_RUN,
    errors=(Invalid, NotFound, Conflict),
    idempotent=False,
)
async def what_if(call: Call, campaign_id: int, body: WhatIfIn) -> WhatIfOut:
    """Simulate the campaign as it is set and as it would be, by what its latest calls tell: the answer comes
    after twenty seconds. Nothing is changed."""
    return WhatIfOut.of(await call.app[WHAT_IF].ask(call.actor, campaign_id, body.change))
