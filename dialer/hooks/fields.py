"""What each hook takes, as models: HTTP and FastAGI read the same fields under the same limits."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from dialer.compliance.policy import Purpose
from dialer.hooks.model import (
    CHANNEL,
    MOST_CALLER,
    MOST_FIELDS,
    MOST_TEXT,
    MOST_TOKEN,
    NUMBER,
    WORD,
    Asker,
    Hook,
    Status,
)
from dialer.httpkit.paging import MAX_ID, PageQuery
from dialer.httpkit.schema import In, Line, Out, form

form(NUMBER, "must be 3 to 20 digits, with + or without")
form(WORD, "must be 1 to 64 characters of A-Z, a-z, 0-9 and . _ -")
form(CHANNEL, "must be 1 to 150 characters of A-Z, a-z, 0-9 and . : @ _ -")
Number = Annotated[str, StringConstraints(pattern=NUMBER)]
Word = Annotated[str, StringConstraints(pattern=WORD)]
Text = Annotated[Line, StringConstraints(max_length=MOST_TEXT)]
#: A contact's own field; as `custom_field.name`.
FieldName = Annotated[Line, StringConstraints(min_length=1, max_length=64)]
#: As pages name queues.
QueueName = Annotated[Line, StringConstraints(min_length=1, max_length=100)]


class HookIn(In):
    """What every hook says of the call that asks."""

    channel: Annotated[str, StringConstraints(pattern=CHANNEL)] = Field(
        description="Asterisk's Uniqueid of the call"
    )
    caller: Annotated[str, StringConstraints(max_length=MOST_CALLER)] = Field(
        "", description="caller id of the call as Asterisk tells it; need be no number"
    )
    call_token: Annotated[str, StringConstraints(max_length=MOST_TOKEN)] = Field(
        "", description="of the answer before in the same call"
    )
    check: bool = Field(False, description="look whether it would do, change nothing")
    number: Number | None = Field(
        None,
        description="digits; default: the call's own number. Another one is changed only with the call token",
    )

    def asker(self) -> Asker:
        """The call that asks."""
        return Asker(self.channel, self.caller, self.call_token, self.check)


class LookupIn(HookIn):
    fields: list[FieldName] = Field(
        [], max_length=MOST_FIELDS, description="a contact's own fields, each told as DOZVON_FIELD_..."
    )


class RouteIn(HookIn):
    dialled: Number | None = Field(None, description="a number of ours: where does its flow lead now?")
    queue: QueueName | None = Field(None, description="a queue: is anybody at work for it?")


class OptOutIn(HookIn):
    reason: Text = ""


class CallbackIn(HookIn):
    campaign: int = Field(ge=1, le=MAX_ID)
    after_min: int = Field(1, ge=1, le=60 * 24 * 30, description="minutes from now")
    note: Text = ""


class OutcomeIn(HookIn):
    outcome: Word
    note: Text = ""


class ConsentIn(HookIn):
    purpose: Purpose
    contact: int | None = Field(
        None, ge=1, le=MAX_ID, description="who of several that have the number: DOZVON_CONTACT of a lookup"
    )
    days: int | None = Field(None, ge=1, le=3660, description="default: until it is withdrawn")
    proof: Text = ""


class SurveyAnswerIn(HookIn):
    survey: Word
    question: Word
    answer: Text = Field(min_length=1)


#: The fields of each hook.
FIELDS: dict[Hook, type[HookIn]] = {
    Hook.LOOKUP: LookupIn,
    Hook.OPT_OUT: OptOutIn,
    Hook.CALLBACK: CallbackIn,
    Hook.OUTCOME: OutcomeIn,
    Hook.ROUTE: RouteIn,
    Hook.CONSENT: ConsentIn,
    Hook.SURVEY_ANSWER: SurveyAnswerIn,
}


class AnswerOut(Out):
    status: Status = Field(description="OK or NOT_FOUND; refusals are problems")
    call_token: str = Field(description="for the next hook of the same call; good for one change")
    variables: dict[str, str] = Field(
        description="channel variables: one line of letters, digits, spaces and . : @ + / - _"
    )


class OutcomeOut(Out):
    """What became of a call that somebody's dialplan had."""

    id: int
    channel: str = Field(description="Asterisk's Uniqueid of the call")
    outcome: str
    note: str
    e164: str | None = Field(description="null: the call said none")
    contact_id: int | None = Field(description="who has the number; null: nobody, or several")
    at: datetime = Field(description="when it was said last")


class SurveyAnswerOut(Out):
    """An answer to a question of a survey."""

    id: int
    channel: str = Field(description="Asterisk's Uniqueid of the call")
    survey: str
    question: str
    answer: str
    e164: str | None = Field(description="null: the call said none")
    contact_id: int | None = Field(description="who has the number; null: nobody, or several")
    at: datetime = Field(description="when it was given last")


class OutcomeQuery(PageQuery):
    """Which outcomes."""

    outcome: Word | None = None
    contact_id: int | None = Field(None, ge=1, le=MAX_ID)


class SurveyAnswerQuery(PageQuery):
    """Which answers."""

    survey: Word | None = None
    question: Word | None = None
    contact_id: int | None = Field(None, ge=1, le=MAX_ID)
