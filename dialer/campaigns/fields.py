"""What may be said of a campaign, and within which bounds: one check for pages, API and command line."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_serializer, field_validator

from dialer.agents.model import SYSTEM_PAUSE_CODES
from dialer.calls import crm
from dialer.calls.terms import AMD_DEFAULTS
from dialer.compliance.policy import Hours
from dialer.compliance.timetable import WEEKDAYS
from dialer.db.tables import CAMPAIGN_PURPOSES, DISPOSITION_KINDS, RESULTS
from dialer.httpkit.schema import In, Line, form
from dialer.policies.fields import Spans, read_day
from dialer.said import Said
from scheduler.callbacks import Away
from scheduler.order import Order
from scheduler.retry import LONGEST_S

Mode = Literal["manual", "preview", "progressive", "power", "predictive", "flow"]
Kind = Literal[
    "sale", "interest", "callback", "refusal", "wrong_person", "no_contact", "do_not_call", "other"
]
Purposes = Literal["service", "advertising", "collection", "survey"]
Clock = Annotated[str, Field(max_length=5, examples=["09:00"])]
Id = Annotated[int, Field(ge=1, le=2**63 - 1)]

#: Least and greatest value of each setting of the machine detector.
AMD_BOUNDS = {
    "initial_silence": (500, 10_000),
    "greeting": (500, 10_000),
    # Under 500 most machines were taken for people.
    "after_greeting_silence": (500, 3_000),
    "total_analysis_time": (1_000, 10_000),
    "min_word_length": (20, 1_000),
    "between_words_silence": (10, 1_000),
    "max_words": (1, 20),
    "silence_threshold": (50, 2_000),
}
assert AMD_BOUNDS.keys() == AMD_DEFAULTS.keys()


class WaitIn(In):
    """What is done after a result or a disposition."""

    after_s: int = Field(ge=-1, le=LONGEST_S, description="seconds until the next attempt; -1: there is none")
    factor: float = Field(
        default=1.0, ge=1, le=10, description="each further attempt waits so many times as long"
    )
    most_s: int = Field(default=LONGEST_S, ge=0, le=LONGEST_S, description="and no longer than this, seconds")
    other_part: bool = Field(
        default=False,
        description="at the earliest in a part of the day (6-12, 12-17, 17-24 h at the person's place) in "
        "which they were not tried yet",
    )
    next_phone_s: int | None = Field(
        default=None,
        ge=0,
        le=LONGEST_S,
        description="seconds until the person's next number is tried; after the last one the lead waits as "
        "above and begins with the first; null: the same number is tried again",
    )


class RetriesIn(In):
    """What a campaign says of retries; results and dispositions that are left out go by the defaults."""

    results: dict[str, WaitIn] = Field(default={}, description="by result of the call")
    dispositions: dict[str, WaitIn] = Field(
        default={}, max_length=100, description="by code of the disposition of the talk"
    )

    @field_validator("results")
    @classmethod
    def _known(cls, value: dict[str, WaitIn]) -> dict[str, WaitIn]:
        if not value.keys() <= set(RESULTS):
            raise ValueError(Said("must be one of: {expected}", expected=", ".join(RESULTS)))
        return value


class CampaignIn(In):
    """A campaign as it is asked for."""

    name: Line = Field(min_length=1, max_length=100, description="unique name")
    mode: Mode = Field(
        default="progressive", description="who decides that a number is dialled, and how many at once"
    )
    ratio: float = Field(default=1.5, ge=1, le=10, description="power: calls for each ready agent")
    abandon_target: float | None = Field(
        default=None,
        ge=0.001,
        le=1,
        description="predictive: highest share of abandoned calls, below the policy's; null: the policy's",
    )
    take_back_ringing: bool = Field(
        default=False,
        description="predictive: ringing calls that no agent would be in time for are taken back, after the "
        "policy's shortest ringing",
    )
    flow: str | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="flow: the name of the flow that speaks with who answers; its live version",
    )
    flow_lines: int = Field(default=10, ge=1, le=1000, description="flow: calls at once")
    flow_rate: float = Field(default=1.0, ge=0.01, le=50, description="flow: calls a second")
    message_to_machines: bool = Field(
        default=False, description="flow: an answering machine is left the message, not hung up on"
    )
    script: Line | None = Field(
        default=None,
        min_length=1,
        max_length=63,
        description="the name of the script by which agents talk; its live version",
    )
    survey: Line | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="the name of the flow that customers go through when the agent has ended the talk; its "
        "live version",
    )
    policy: str = Field(
        default="default", max_length=50, description="code of the rules that it follows (see policies)"
    )
    policy_version: int | None = Field(
        default=None, ge=1, description="the version of them that it keeps to; null: always the newest"
    )
    purpose: Purposes = Field(default="service", description="what its calls are for")
    skill: Line | None = Field(
        default=None, min_length=1, max_length=50, description="only agents with this skill; null: any agent"
    )
    priority: int = Field(
        default=0, ge=-100, le=100, description="of two campaigns the higher gets agents first"
    )
    ring_timeout_s: int = Field(default=25, ge=5, le=120, description="how long a call rings, seconds")
    detect_machines: bool = Field(default=False, description="screen answered calls for answering machines")
    amd: dict[str, int] = Field(
        default={}, description="settings of the machine detector over the measured ones"
    )
    record: bool = Field(default=True, description="record talks")
    wrap_up_limit_s: int = Field(
        default=60, ge=1, le=3600, description="how long an agent may work after a talk, seconds"
    )
    crm_url: str = Field(
        default="",
        max_length=crm.LONGEST,
        description="address of a person in your CRM, opened from the agent's card; in braces what is filled "
        f"in: {', '.join(crm.VARIABLES)}; empty: none",
    )
    crm_frame: bool = Field(default=False, description="the CRM stands in the card; else in a tab of its own")
    caller_name: Line = Field(
        default="", max_length=100, description="who calls, as the message below says it"
    )
    abandon_message: str = Field(
        default="",
        max_length=1000,
        description="what a person hears whom no agent can take; it names the caller",
    )
    drop_ringing_on_pause: bool = Field(default=False, description="a pause takes ringing calls back")
    call_from: Clock = Field(
        default="09:00", description="first minute of calling at the called person's place"
    )
    call_until: Clock = Field(
        default="21:00",
        validate_default=True,
        description="first minute without calls there; 24:00 is midnight",
    )
    week: dict[str, Spans] = Field(
        default={},
        description="weekdays with other hours: mon, tue, ... to a list of `10:00-14:00`; none: no calls",
    )
    exceptions: dict[date, Spans] = Field(
        default={}, max_length=400, description="dates with other hours; none: no calls"
    )
    on_holidays: bool = Field(
        default=True, description="calls on public holidays too, as far as the policy does"
    )
    max_attempts: int = Field(
        default=3, ge=1, le=100, description="attempts at one person in all, over all numbers"
    )
    most_per_day: int | None = Field(
        default=None,
        ge=1,
        le=100,
        description="attempts at one person in 24 hours, all campaigns counted; null: as the policy says",
    )
    most_per_week: int | None = Field(default=None, ge=1, le=200, description="the same in 7 days")
    most_per_month: int | None = Field(default=None, ge=1, le=500, description="the same in 31 days")
    retries: RetriesIn = Field(
        default=RetriesIn(), description="when a person is tried again, over the defaults"
    )
    lead_order: Order = Field(
        default=Order.OLDEST,
        description="which lead is next: the oldest, the newest, the one of the highest priority, a random "
        "one, the one with the fewest attempts, or of the oldest those whose best hour is nearest",
    )
    callback_away: Away = Field(
        default=Away.ANYONE,
        description="what happens to a callback whose agent is not there: after `callback_wait_s` anyone "
        "calls; it waits for its agent; it waits and the supervisors are told",
    )
    callback_wait_s: int = Field(
        default=600, ge=0, le=7 * 86400, description="how long the agent of a callback is waited for, seconds"
    )
    callback_tries: int = Field(
        default=3, ge=1, le=20, description="how often a callback that nobody answers is tried"
    )
    callback_retry_s: int = Field(
        default=600, ge=30, le=7 * 86400, description="between two tries of a callback, seconds"
    )
    trunks: list[Id] = Field(
        default=[], max_length=20, description="ids of trunks in the order they are tried"
    )

    @field_validator("crm_url")
    @classmethod
    def _crm(cls, value: str) -> str:
        return crm.check(value) if value else value

    @field_validator("week")
    @classmethod
    def _week(cls, value: dict[str, list[str]]) -> dict[str, list[str]]:
        if unknown := value.keys() - set(WEEKDAYS):
            raise ValueError(
                Said("{name}: must be one of: {expected}", name=min(unknown), expected=", ".join(WEEKDAYS))
            )
        return {name: read_day(value[name]).written for name in WEEKDAYS if name in value}

    @field_validator("exceptions")
    @classmethod
    def _exceptions(cls, value: dict[date, list[str]]) -> dict[date, list[str]]:
        return {day: read_day(spans).written for day, spans in sorted(value.items())}

    @field_serializer("exceptions")
    def _dates(self, value: dict[date, list[str]]) -> dict[str, list[str]]:
        return {day.isoformat(): spans for day, spans in value.items()}

    @field_validator("most_per_week", "most_per_month")
    @classmethod
    def _not_less(cls, value: int | None, info: ValidationInfo) -> int | None:
        for name in ("most_per_day", "most_per_week"):
            less = info.data.get(name)
            if value is not None and less is not None and value < less:
                raise ValueError(Said("must not be less than {name}, which is {less}", name=name, less=less))
        return value

    @field_validator("caller_name", "name")
    @classmethod
    def _one_line(cls, value: str) -> str:
        if not value.isprintable():
            raise ValueError("must be one line of plain text")
        return value

    @field_validator("amd")
    @classmethod
    def _amd(cls, value: dict[str, int]) -> dict[str, int]:
        for name, number in value.items():
            if name not in AMD_BOUNDS:
                raise ValueError(Said("must be one of: {expected}", expected=", ".join(AMD_BOUNDS)))
            least, most = AMD_BOUNDS[name]
            if not least <= number <= most:
                raise ValueError(Said("{name} must be {least} to {most}", name=name, least=least, most=most))
        return value

    @field_validator("trunks")
    @classmethod
    def _each_once(cls, value: list[int]) -> list[int]:
        if len(set(value)) != len(value):
            raise ValueError("names a trunk twice")
        return value

    @field_validator("call_from")
    @classmethod
    def _opens(cls, value: str) -> str:
        try:
            Hours.parse(value, "24:00")
        except ValueError:
            raise ValueError("must be a time as 09:00") from None
        return value

    @field_validator("call_until")
    @classmethod
    def _closes(cls, value: str, info: ValidationInfo) -> str:
        try:
            Hours.parse(info.data.get("call_from", "00:00"), value)
        except ValueError:
            raise ValueError("must be a time as 21:00, after the first one, 24:00 at most") from None
        return value


class CampaignEdit(In):
    """Changes of a campaign: what is left out stays. The bounds are those of a new campaign."""

    name: str | None = None
    mode: Mode | None = None
    ratio: float | None = None
    abandon_target: float | None = Field(default=None, description="null: the policy's")
    take_back_ringing: bool | None = None
    flow: str | None = Field(default=None, description="null: none is chosen")
    flow_lines: int | None = None
    flow_rate: float | None = None
    message_to_machines: bool | None = None
    script: Line | None = Field(default=None, description="null: none")
    survey: Line | None = Field(default=None, description="null: none")
    policy: str | None = None
    policy_version: int | None = Field(default=None, description="null: always the newest")
    purpose: Purposes | None = None
    skill: Line | None = Field(default=None, description="null: any agent")
    priority: int | None = None
    ring_timeout_s: int | None = None
    detect_machines: bool | None = None
    amd: dict[str, int] | None = None
    record: bool | None = None
    wrap_up_limit_s: int | None = None
    crm_url: str | None = None
    crm_frame: bool | None = None
    caller_name: Line | None = None
    abandon_message: str | None = None
    drop_ringing_on_pause: bool | None = None
    call_from: str | None = None
    call_until: str | None = None
    week: dict[str, list[str]] | None = None
    exceptions: dict[str, list[str]] | None = None
    on_holidays: bool | None = None
    max_attempts: int | None = None
    most_per_day: int | None = None
    most_per_week: int | None = None
    most_per_month: int | None = None
    retries: RetriesIn | None = None
    lead_order: Order | None = None
    callback_away: Away | None = None
    callback_wait_s: int | None = None
    callback_tries: int | None = None
    callback_retry_s: int | None = None
    trunks: list[int] | None = None


assert set(CAMPAIGN_PURPOSES) == set(Purposes.__args__)  # type: ignore[attr-defined]
assert CampaignEdit.model_fields.keys() == CampaignIn.model_fields.keys()


CODE = form(
    r"^[a-z0-9][a-z0-9_-]{0,49}$", "must be 1 to 50 characters of a-z, 0-9 and _ -, a letter or a digit first"
)


class DispositionIn(In):
    """What a talk may come to."""

    code: str = Field(pattern=CODE, description="stable name, unique in the campaign")
    label_ru: Line = Field(min_length=1, max_length=100)
    label_en: Line = Field(min_length=1, max_length=100)
    kind: Kind = Field(description="what it means for reports and for the next attempt")


assert set(DISPOSITION_KINDS) == set(Kind.__args__)  # type: ignore[attr-defined]


class DispositionsIn(In):
    """All dispositions of a campaign, in the order agents see them."""

    items: list[DispositionIn] = Field(max_length=100)

    @field_validator("items")
    @classmethod
    def _each_once(cls, value: list[DispositionIn]) -> list[DispositionIn]:
        if len({item.code for item in value}) != len(value):
            raise ValueError("names a code twice")
        return value


class PauseCodeIn(In):
    """Why an agent takes no calls."""

    code: str = Field(pattern=CODE, description="stable name")
    label_ru: Line = Field(min_length=1, max_length=100)
    label_en: Line = Field(min_length=1, max_length=100)
    limit_s: int | None = Field(
        default=None,
        ge=1,
        le=24 * 3600,
        description="how long such a pause may last, seconds; null: no limit",
    )


class PauseCodesIn(In):
    """All pause codes, in the order agents see them."""

    items: list[PauseCodeIn] = Field(min_length=1, max_length=100)

    @field_validator("items")
    @classmethod
    def _each_once(cls, value: list[PauseCodeIn]) -> list[PauseCodeIn]:
        if len({item.code for item in value}) != len(value):
            raise ValueError("names a code twice")
        if any(item.code in SYSTEM_PAUSE_CODES for item in value):
            raise ValueError(
                Said("these codes are the server's own: {codes}", codes=", ".join(sorted(SYSTEM_PAUSE_CODES)))
            )
        return value
