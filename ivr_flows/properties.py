"""What a state of each verb may be told: the schema of flows.

The docstring of a class says what its verb does, `description` what a property means; the reference of the
language is made of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from dialer.said import told
from ivr_flows import hosts, hours
from ivr_flows.model import KEYS, LANGUAGES, MOST_TEXT, Properties, Value, Verb
from ivr_flows.templates import NAME, parse

#: Variables that a flow cannot change.
GIVEN: Final = ("caller", "dialled", "now", "language", "zone")


def _word(value: Any) -> Any:
    """A number where a word is wanted is the word it was written as: an extension, a key."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _checked(check: Callable[[str], object]) -> AfterValidator:
    def run(text: str) -> str:
        check(text)
        return text

    return AfterValidator(run)


def _keys(text: str) -> None:
    if not set(text) <= set(KEYS):
        raise ValueError(told("keys are {keys}", keys=KEYS))


def _variable(text: str) -> None:
    if not NAME.fullmatch(text):
        raise ValueError(
            told("“{text}” is no name of a variable: small letters, digits, _ and dots", text=text)
        )
    if text in GIVEN:
        raise ValueError(told("“{text}” is given by the call, choose another name", text=text))


def _path(text: str) -> None:
    if not hosts.PATH.fullmatch(text):
        raise ValueError(
            told("“{text}” is no path into JSON: write names and positions like items.0.price", text=text)
        )


Word = Annotated[str, BeforeValidator(_word), Field(max_length=MOST_TEXT)]
#: A name of the installation: a queue, a box, a place.
Name = Annotated[Word, Field(pattern=r"^[\w][\w .:/@+-]{0,99}$")]
Template = Annotated[Word, _checked(parse)]
Spoken = Annotated[Word, _checked(lambda text: parse(text, spoken=True))]
Keys = Annotated[Word, _checked(_keys)]
Key = Annotated[Word, Field(min_length=1, max_length=1), _checked(_keys)]
Variable = Annotated[str, Field(max_length=100), _checked(_variable)]
Hours = Annotated[str, _checked(hours.spans)]
Seconds = Annotated[float, Field(gt=0, le=3600)]


class Part(BaseModel):
    """One thing that is heard."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: Spoken | None = None
    sound: Annotated[Word, Field(pattern=r"^[\w][\w./-]{0,199}$")] | None = None
    digits: Template | None = None
    number: Template | None = None
    money: Template | None = None
    date: Template | None = None
    time: Template | None = None
    datetime: Template | None = None
    #: of what is counted
    gender: Literal["m", "f", "n"] = "m"
    case: Literal["nominative", "genitive", "dative", "accusative", "instrumental", "prepositional"] = (
        "nominative"
    )
    currency: Literal["RUB", "USD", "EUR"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_text(cls, value: Any) -> Any:
        value = _word(value)
        return {"text": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one(self) -> Part:
        if sum(getattr(self, kind) is not None for kind in KINDS) != 1:
            raise ValueError(told("give one of {names}", names=", ".join(KINDS)))
        return self

    @property
    def kind(self) -> str:
        """Which of `KINDS` it is."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def value(self) -> str:
        """What stands there."""
        return str(getattr(self, self.kind))


KINDS: Final = ("text", "sound", "digits", "number", "money", "date", "time", "datetime")


class Prompts(BaseModel):
    """What is heard, in any language or in each: a text, a part, a list of them, or {ru: ..., en: ...}."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    any: tuple[Part, ...] = Field((), max_length=50)
    ru: tuple[Part, ...] = Field((), max_length=50)
    en: tuple[Part, ...] = Field((), max_length=50)

    @model_validator(mode="before")
    @classmethod
    def _normal(cls, value: Any) -> Any:
        def listed(one: Any) -> Any:
            return one if isinstance(one, list | tuple) else [one]

        if isinstance(value, Prompts):
            return value
        if isinstance(value, Mapping) and value and set(value) <= set(LANGUAGES):
            return {language: listed(one) for language, one in value.items()}
        if value is None or value in ("", [], {}):
            raise ValueError("nothing is said: write a text, or leave the property out")
        return {"any": listed(value)}

    def parts(self, language: str, default: str) -> tuple[tuple[Part, ...], str]:
        """What is heard in a language, else in the flow's own, else in the other; and in which that is."""
        if self.any:
            return self.any, language
        for one in (language, default, *LANGUAGES):
            found: tuple[Part, ...] = getattr(self, one, ())
            if found:
                return found, one
        return (), language

    def all(self, default: str) -> Iterator[tuple[Part, str]]:
        """Every part with its language; of those for any language, the flow's own."""
        for language, parts in ((default, self.any), ("ru", self.ru), ("en", self.en)):
            yield from ((part, language) for part in parts)


class Asking(Properties):
    """What all that take keys have."""

    prompt: Prompts = Field(description="the question")
    nothing_prompt: Prompts | None = Field(None, description="said before it is asked again, after silence")
    invalid_prompt: Prompts | None = Field(
        None, description="said before it is asked again, after a wrong key"
    )
    retries: int = Field(2, ge=0, le=9, description="how often it is asked again")
    first_s: Seconds = Field(6.0, description="time for the first key, seconds")
    between_s: Seconds = Field(3.0, description="time for each further key, seconds")
    barge_in: bool = Field(True, description="a key breaks into the question")


class PlayProperties(Properties):
    """Plays recordings: uploaded ones, or sounds of Asterisk."""

    sound: Prompts = Field(description="name of a recording, a list of names, or names by language")
    stop_on: Keys = Field("", description="keys that break it off")

    @model_validator(mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        def named(one: Any) -> Any:
            if isinstance(one, str | int) and not isinstance(one, bool):
                return {"sound": str(one)}
            return [named(each) for each in one] if isinstance(one, list) else one

        if isinstance(value, Mapping) and "sound" in value:
            sound = value["sound"]
            by_language = isinstance(sound, Mapping) and set(sound) <= set(LANGUAGES)
            made = {language: named(one) for language, one in sound.items()} if by_language else named(sound)
            return {**value, "sound": made}
        return value


class SayProperties(Properties):
    """Says words, numbers, dates, money."""

    prompt: Prompts = Field(description="what is said")
    stop_on: Keys = Field("", description="keys that break it off")


class GatherProperties(Asking):
    """Asks for digits: a number of an order, a postcode, a PIN."""

    into: Variable = Field(description="variable that gets the digits")
    digits: int = Field(20, ge=1, le=40, description="so many at most")
    least: int = Field(1, ge=1, le=40, description="and so many at least")
    until: Key | Literal[""] = Field("#", description='the key that ends; none: ""')
    allowed: Keys = Field("0123456789", min_length=1, description="the keys that may be in it")
    secret: bool = Field(False, description="what comes is not written down")

    @model_validator(mode="after")
    def _lengths(self) -> GatherProperties:
        if self.least > self.digits:
            raise ValueError("least is more than digits: nobody could answer")
        return self


class MenuProperties(Asking):
    """Asks for one of the keys that stand in its transitions."""

    into: Variable | None = Field(None, description="variable that gets the key, or what `values` has for it")
    values: dict[Keys, Word] = Field({}, description="key -> what is stored for it")


class SetProperties(Properties):
    """Sets variables, and the language of all that follows."""

    values: dict[Variable, Value] = Field({}, description="variable -> value; a text may have variables")
    language: Literal["ru", "en"] | None = Field(None, description="ru or en")

    @model_validator(mode="after")
    def _texts(self) -> SetProperties:
        if not self.values and self.language is None:
            raise ValueError("nothing is set: give values or language")
        for value in self.values.values():
            if isinstance(value, str):
                parse(value)
        return self


class LookupProperties(Properties):
    """Finds the customer, by the number that calls or by any field."""

    by: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")] = Field(
        "phone", description="phone, id, email, external_id, or a field of your own"
    )
    value: Template = Field("{caller}", min_length=1, description="what is looked for")
    fields: tuple[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")], ...] = Field(
        (), max_length=50, description="which fields are wanted; none: all that the card has"
    )
    into: Variable = Field("contact", description="variables are named so, a dot, the field")


class Test(BaseModel):
    """One condition on a variable."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    variable: Annotated[str, Field(pattern=f"^{NAME.pattern}$", max_length=100)]
    equals: Value = None
    differs: Value = None
    above: float | None = None
    below: float | None = None
    one_of: tuple[Value, ...] | None = Field(None, max_length=100)
    begins: Word | None = None
    known: bool | None = None

    @model_validator(mode="after")
    def _one(self) -> Test:
        if len(self.model_fields_set - {"variable"}) != 1:
            raise ValueError(told("give one of {names}", names=", ".join(OPERATORS)))
        return self


OPERATORS: Final = tuple(name for name in Test.model_fields if name != "variable")


class ConditionProperties(Properties):
    """Looks at variables: `yes` where the tests hold, else `no`."""

    all: tuple[Test, ...] = Field((), max_length=20, description="each of these must hold")
    any: tuple[Test, ...] = Field((), max_length=20, description="one of these is enough")

    @model_validator(mode="after")
    def _some(self) -> ConditionProperties:
        if not self.all and not self.any:
            raise ValueError("nothing is tested: give all or any")
        return self


class ScheduleProperties(Properties):
    """Looks at the clock: open, closed, or a public holiday (which is `closed` where it has no branch)."""

    week: dict[str, Hours] = Field(
        {}, description="mon-fri: 09:00-18:00; sat, sun: closed; several spans, 24h"
    )
    exceptions: dict[str, Hours] = Field({}, description="2026-12-31: 09:00-15:00; a holiday too")
    holidays: str = Field("", description="whose public holidays: RU, DE-BY; none: they are like other days")
    zone: str = Field("", description="IANA name; else the flow's, else the tenant's")
    hours: Name | None = Field(None, description="in place of all that: hours that the tenant keeps by name")

    @model_validator(mode="after")
    def _readable(self) -> ScheduleProperties:
        if bool(self.week) == (self.hours is not None):
            raise ValueError("give week, or hours in its place")
        hours.week_of(self.week)
        for day in self.exceptions:
            hours.day_of(day)
        if self.holidays:
            hours.free_days(self.holidays, 2026)
        if self.zone and hours.zone_of(self.zone) is None:
            raise ValueError(told("there is no zone “{zone}”: write one like Europe/Moscow", zone=self.zone))
        return self


class EnqueueProperties(Properties):
    """Puts the caller into a queue until an agent is free; `answered` is when their talk is over."""

    queue: Name = Field(description="name of the queue")
    priority: int = Field(
        0, ge=0, le=9, description="1 to 9, the highest is served first; 0: as the queue says"
    )
    skills: dict[Name, Annotated[int, Field(ge=1, le=9)]] = Field(
        {}, description="skill -> least level, 1-9, which is asked for besides the queue's"
    )
    max_wait_s: Seconds | None = Field(
        None, description="seconds of waiting in all until `timeout`; the queue's longest wait holds besides"
    )
    leave_on: Keys = Field("", description="keys with which the caller leaves the queue (`left_by_key`)")
    reason: Template = Field("", description="why they call, for the agent's card")


class DialProperties(Properties):
    """Rings other phones and connects who answers; `answered` is when their talk is over."""

    targets: tuple[Annotated[Template, Field(min_length=1)], ...] = Field(
        min_length=1, max_length=10, description="agents by name, destinations of the list"
    )
    timeout_s: Seconds = Field(25.0, description="how long it rings, seconds")
    together: bool = Field(
        True, description="phones ring at once; else one after another; outside numbers always so"
    )


class OfferProperties(Asking):
    """Asks the decision service what to offer at a place, says it, and takes the answer by a key."""

    place: Name = Field(description="name of the place of the decision service")
    prompt: Prompts = Field(description="said after the offer: which key is yes")
    accept: Key = Field("1", description="the key that is yes")
    decline: Key | Literal[""] = Field("2", description='the key that is no; none: ""')
    instead: Prompts | None = Field(None, description="said where the service has no offer or is away")

    @model_validator(mode="after")
    def _differ(self) -> OfferProperties:
        if self.accept == self.decline:
            raise ValueError("accept and decline are the same key")
        return self


class RequestCallbackProperties(Properties):
    """Promises the caller a call."""

    number: Template = Field("{caller}", min_length=1, description="which number is called")
    when: Template = Field("", description="ISO 8601; none: as soon as somebody is free")
    queue: Name | None = Field(None, description="a place in it is kept, the call comes in its turn")
    keep_place: bool = Field(
        False, description="the place that the caller has just had, there or (no queue named) anywhere"
    )
    reason: Template = Field("", description="why they called")


class VoicemailProperties(Properties):
    """Records a message."""

    box: Name = Field(description="name of the box")
    prompt: Prompts | None = Field(None, description="said before the tone")
    most_s: Annotated[float, Field(ge=1, le=600)] = Field(120.0, description="longest message, seconds")
    silence_s: Annotated[float, Field(ge=1, le=60)] = Field(
        5.0, description="it ends after so long a silence"
    )
    beep: bool = Field(True, description="a tone before it begins")


class RecordConsentProperties(Properties):
    """Asks for a consent and writes the answer down; without a prompt it was given before."""

    purpose: Name = Field(description="what for")
    prompt: Prompts | None = Field(None, description="the question")
    accept: Key = Field("1", description="the key that is yes")
    refuse: Key = Field("2", description="the key that is no")
    valid_days: Annotated[int, Field(ge=1, le=36500)] | None = Field(None, description="how long it holds")
    nothing_prompt: Prompts | None = Field(None, description="said before it is asked again, after silence")
    invalid_prompt: Prompts | None = Field(
        None, description="said before it is asked again, after a wrong key"
    )
    retries: int = Field(2, ge=0, le=9, description="how often it is asked again")
    first_s: Seconds = Field(6.0, description="time for the key, seconds")
    barge_in: bool = Field(True, description="a key breaks into the question")

    @model_validator(mode="after")
    def _differ(self) -> RecordConsentProperties:
        if self.accept == self.refuse:
            raise ValueError("accept and refuse are the same key")
        return self


class OptOutProperties(Properties):
    """Has the number called no more."""

    scope: Literal["campaign", "all"] = Field("all", description="by this campaign, or by nobody")
    number: Template = Field("{caller}", min_length=1, description="which number")


class HttpRequestProperties(Properties):
    """Asks a server of yours; its host must be one that the tenant has allowed."""

    url: Annotated[Word, _checked(hosts.check_template)] = Field(
        min_length=1, description="the host is written out; variables come after it"
    )
    method: Literal["GET", "POST"] = Field("GET", description="GET or POST")
    body: dict[Annotated[str, Field(max_length=100)], Value] | None = Field(
        None, max_length=50, description="sent as JSON; texts may have variables"
    )
    into: dict[Variable, Annotated[Word, _checked(_path)]] = Field(
        {}, max_length=50, description="variable -> where it is in the reply's JSON: items.0.price"
    )
    timeout_s: Annotated[float, Field(gt=0, le=10)] = Field(3.0, description="seconds until `failed`")

    @model_validator(mode="after")
    def _body(self) -> HttpRequestProperties:
        if self.body is not None and self.method == "GET":
            raise ValueError("GET has no body: write method: POST")
        for value in (self.body or {}).values():
            if isinstance(value, str):
                parse(value)
        return self


class TransferProperties(Properties):
    """Hands the call over; `done` is when their talk is over."""

    target: Template = Field(min_length=1, description="an agent's name, or a destination of the list")
    kind: Literal["blind", "attended"] = Field(
        "blind", description="blind: the caller hears it ring; attended: music, until it has answered"
    )


class GotoFlowProperties(Properties):
    """Goes on in another flow, with all variables."""

    flow: Name = Field(description="name of the flow")


class HangupProperties(Properties):
    """Ends the call."""

    prompt: Prompts | None = Field(None, description="said before")
    cause: Literal["normal", "busy", "congestion"] = Field("normal", description="what the network is told")


PROPERTIES: Final[Mapping[Verb, type[Properties]]] = {
    Verb.PLAY: PlayProperties,
    Verb.SAY: SayProperties,
    Verb.GATHER: GatherProperties,
    Verb.MENU: MenuProperties,
    Verb.SET: SetProperties,
    Verb.LOOKUP: LookupProperties,
    Verb.CONDITION: ConditionProperties,
    Verb.SCHEDULE: ScheduleProperties,
    Verb.ENQUEUE: EnqueueProperties,
    Verb.DIAL: DialProperties,
    Verb.OFFER: OfferProperties,
    Verb.REQUEST_CALLBACK: RequestCallbackProperties,
    Verb.VOICEMAIL: VoicemailProperties,
    Verb.RECORD_CONSENT: RecordConsentProperties,
    Verb.OPT_OUT: OptOutProperties,
    Verb.HTTP_REQUEST: HttpRequestProperties,
    Verb.TRANSFER: TransferProperties,
    Verb.GOTO_FLOW: GotoFlowProperties,
    Verb.HANGUP: HangupProperties,
}

_FLOW_KEY = re.compile(r"[0-9*#]{1,4}")


def is_key(event: str) -> bool:
    """Whether a menu's transition is named by keys."""
    return _FLOW_KEY.fullmatch(event) is not None
