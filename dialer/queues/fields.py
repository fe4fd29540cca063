"""What may be said of a queue."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from dialer.httpkit.paging import MAX_ID
from dialer.httpkit.schema import In, Line, form
from dialer.queues.model import (
    HIGHEST_LEVEL,
    HIGHEST_PRIORITY,
    LOWEST_LEVEL,
    LOWEST_PRIORITY,
    USUAL_PRIORITY,
    Overflow,
    Rule,
)

Level = Annotated[int, Field(ge=LOWEST_LEVEL, le=HIGHEST_LEVEL)]
#: A time of a day at most.
Seconds = Annotated[int, Field(ge=1, le=86_400)]


class QueueIn(In):
    """A queue as it is asked for."""

    name: Line = Field(min_length=1, max_length=100, description="unique; flows and numbers name it")
    skill: Line | None = Field(
        default=None, min_length=1, max_length=50, description="agents must have it; null: any agent"
    )
    least_level: Level = Field(default=LOWEST_LEVEL, description="of the skill, 1 to 9")
    relax_every_s: Seconds | None = Field(
        default=None,
        description="after each so many seconds of waiting one level less is asked for; null: never",
    )
    lowest_level: Level = Field(default=LOWEST_LEVEL, description="down to which levels are relaxed")
    rule: Rule = Field(
        default=Rule.LONGEST_IDLE, description="which of the agents who are free takes the caller"
    )
    priority: int = Field(
        default=USUAL_PRIORITY,
        ge=LOWEST_PRIORITY,
        le=HIGHEST_PRIORITY,
        description="of its callers, 1 to 9: the highest is served first",
    )
    last_agent_s: int = Field(
        default=0,
        ge=0,
        le=3600,
        description="seconds that a caller is kept for the agent who talked with them last, if at work",
    )
    max_wait_s: Seconds | None = Field(default=None, description="then the caller overflows; null: never")
    max_waiting: int | None = Field(
        default=None, ge=1, le=10_000, description="callers at once, more overflow at once; null: any number"
    )
    needs_agents: bool = Field(
        default=False, description="callers overflow at once while no agent is at work who could serve"
    )
    overflow: Overflow = Field(
        default=Overflow.FLOW,
        description="queue: overflow_queue_id; flow: it goes on from the event full or timeout; voicemail",
    )
    overflow_queue_id: int | None = Field(default=None, ge=1, le=MAX_ID)
    music: str = Field(
        default="default",
        pattern=form(r"^[A-Za-z0-9_-]{1,50}$", "must be 1 to 50 characters of A-Z, a-z, 0-9 and _ -"),
        description="class of music on hold in Asterisk",
    )
    announce_first_s: Seconds | None = Field(
        default=20, description="seconds of waiting before the first announcement; null: none is made"
    )
    announce_every_s: Annotated[int, Field(ge=10, le=3600)] | None = Field(
        default=60, description="seconds from one announcement to the next; null: there is one"
    )
    announce_position: bool = Field(default=True, description="the place in the queue is told")
    announce_wait: bool = Field(default=True, description="the expected wait is told, where it is known")
    announce_most_position: int = Field(default=10, ge=1, le=1000, description="higher places are not told")
    offer_callback_s: Seconds | None = Field(
        default=None, description="seconds of waiting from which a call back in turn is offered; null: none"
    )
    offer_callback_wait_s: Seconds | None = Field(
        default=None,
        description="it is offered where the expected wait is as long, or not known; null: always",
    )
    offer_callback_key: str = Field(
        default="1",
        pattern=form(r"^[0-9*#]$", "must be one key: 0 to 9, * or #"),
        description="the key with which a caller asks for it, once it was offered",
    )
    callback_tries: int = Field(
        default=2,
        ge=1,
        le=5,
        description="times that who keeps a place is called; then a call is promised",
    )
    callback_again_s: int = Field(default=300, ge=60, le=3600, description="seconds from one try to the next")
    short_abandon_s: int = Field(
        default=5, ge=0, le=600, description="who leaves before has hardly waited: counted apart"
    )
    target_share: float = Field(
        default=0.8, ge=0, le=1, description="share of callers to be answered within target_s"
    )
    target_s: int = Field(default=20, ge=1, le=3600, description="T of the service level, seconds")
    wrap_up_s: Annotated[int, Field(ge=0, le=3600)] | None = Field(
        default=None, description="longest wrap-up after its talks; null: as the number's campaign says"
    )
    survey: Line | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="the name of the flow that callers go through when the agent has ended the talk; null: "
        "as the number's campaign says",
    )

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.lowest_level > self.least_level:
            raise ValueError("lowest_level is above least_level")
        if (self.overflow is Overflow.QUEUE) != (self.overflow_queue_id is not None):
            raise ValueError("overflow_queue_id goes with the overflow queue")
        return self


class QueueEdit(In):
    """Changes of a queue: what is left out stays. The bounds are those of a new queue."""

    name: str | None = None
    skill: str | None = Field(default=None, description="null: any agent")
    least_level: int | None = None
    relax_every_s: int | None = None
    lowest_level: int | None = None
    rule: Rule | None = None
    priority: int | None = None
    last_agent_s: int | None = None
    max_wait_s: int | None = None
    max_waiting: int | None = None
    needs_agents: bool | None = None
    overflow: Overflow | None = None
    overflow_queue_id: int | None = None
    music: str | None = None
    announce_first_s: int | None = None
    announce_every_s: int | None = None
    announce_position: bool | None = None
    announce_wait: bool | None = None
    announce_most_position: int | None = None
    offer_callback_s: int | None = None
    offer_callback_wait_s: int | None = None
    offer_callback_key: str | None = None
    callback_tries: int | None = None
    callback_again_s: int | None = None
    short_abandon_s: int | None = None
    target_share: float | None = None
    target_s: int | None = None
    wrap_up_s: int | None = None
    survey: str | None = None


assert QueueEdit.model_fields.keys() == QueueIn.model_fields.keys()
