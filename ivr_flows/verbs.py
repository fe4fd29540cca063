"""What each verb does: which action it begins with, and what an event makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from ivr_flows import hosts, hours, model
from ivr_flows.model import (
    EVENTS,
    MOST_TEXT,
    Action,
    Ask,
    Came,
    CheckHours,
    Dial,
    Enqueue,
    Event,
    Failed,
    Flow,
    GoTo,
    HangUp,
    Lookup,
    Nothing,
    Offer,
    OfferAnswer,
    OptOut,
    Played,
    Position,
    Pressed,
    Prompt,
    RecordConsent,
    Request,
    RequestCallback,
    Say,
    State,
    Transfer,
    Value,
    Voicemail,
    clean_values,
)  # fmt: skip
from ivr_flows.properties import (
    Asking,
    ConditionProperties,
    DialProperties,
    EnqueueProperties,
    GatherProperties,
    GotoFlowProperties,
    HangupProperties,
    HttpRequestProperties,
    LookupProperties,
    MenuProperties,
    OfferProperties,
    OptOutProperties,
    PlayProperties,
    Prompts,
    RecordConsentProperties,
    RequestCallbackProperties,
    SayProperties,
    ScheduleProperties,
    SetProperties,
    Test,
    TransferProperties,
    VoicemailProperties,
)  # fmt: skip
from ivr_flows.spoken import said
from ivr_flows.templates import plain, render, value_of

#: The phases of states that take more than one action.
SHOWN: Final = "shown"
WRITING: Final = "writing"
READY: Final = "ready"


@dataclass(frozen=True, slots=True)
class Do:
    """The state has something to be done."""

    action: Action
    phase: str = ""
    tries: int = 0
    #: variables that are known now
    values: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Out:
    """The state has ended."""

    event: str
    values: Mapping[str, Value] = field(default_factory=dict)
    #: those of the values that the caller gave, and that may be written down
    collected: Mapping[str, Value] = field(default_factory=dict)
    language: str = ""


@dataclass(frozen=True, slots=True)
class Here:
    """A state at a moment of a call."""

    flow: Flow
    state: State
    position: Position
    #: local: by the flow's zone, else the tenant's
    now: datetime

    def fill(self, text: str) -> str:
        """A text with its variables."""
        at = self.position
        return render(text, at.variables, self.now, at.language)[:MOST_TEXT]

    def filled(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """Values with the variables in their texts."""
        return {name: self.fill(value) if isinstance(value, str) else value for name, value in values.items()}

    def say(self, prompts: Prompts | None) -> tuple[Prompt, ...]:
        """What is to be heard."""
        if prompts is None:
            return ()
        at = self.position
        return said(prompts, at.variables, at.language, self.flow.language, self.now)


# -- states that begin ---------------------------------------------------------------------------------------


def enter(here: Here) -> Do | Out:  # noqa: PLR0912 (a row a verb)
    """What a state does first."""
    fill, about = here.fill, here.state.properties
    match about:
        case PlayProperties():
            return Do(Say(here.say(about.sound), about.stop_on))
        case SayProperties():
            return Do(Say(here.say(about.prompt), about.stop_on))
        case OfferProperties():  # before Asking, which it is too
            return Do(Offer(about.place))
        case Asking():
            return Do(_question(here, about))
        case SetProperties():
            return Out("done", here.filled(about.values), language=about.language or "")
        case LookupProperties():
            value = fill(about.value)
            return Do(Lookup(about.by, value, about.fields)) if value else Out("unknown")
        case ConditionProperties():
            return Out("yes" if _holds(here, about) else "no")
        case ScheduleProperties():
            return _schedule(here, about)
        case EnqueueProperties():
            reason = fill(about.reason)
            skills = dict(about.skills)
            wait = about.max_wait_s
            return Do(Enqueue(about.queue, about.priority, skills, wait, about.leave_on, reason))
        case DialProperties():
            targets = tuple(filter(None, map(fill, about.targets)))
            return Do(Dial(targets, about.timeout_s, about.together)) if targets else Out("failed")
        case RequestCallbackProperties():
            number, when, reason = fill(about.number), fill(about.when), fill(about.reason)
            if not number:
                return Out("refused")
            return Do(RequestCallback(number, when, about.queue or "", about.keep_place, reason))
        case VoicemailProperties():
            before = here.say(about.prompt)
            return Do(Say(before), READY) if before else Do(_message(about), WRITING)
        case RecordConsentProperties():
            return Do(_consent(here, about)) if about.prompt else _decided(here, about, given=True)
        case OptOutProperties():
            number = fill(about.number)
            return Do(OptOut(about.scope, number)) if number else Out("failed")
        case HttpRequestProperties():
            return _request(here, about)
        case TransferProperties():
            target = fill(about.target)
            return Do(Transfer(target, about.kind)) if target else Out("failed")
        case GotoFlowProperties():
            return Do(GoTo(about.flow))
        case HangupProperties():
            before = here.say(about.prompt)
            return Do(Say(before), READY) if before else Do(HangUp(about.cause), WRITING)
        case _:
            return Out("failed")


# -- states that go on ---------------------------------------------------------------------------------------


def after(here: Here, event: Event) -> Do | Out:
    """What an event makes of a state."""
    about, phase = here.state.properties, here.position.phase
    match about:
        case PlayProperties() | SayProperties():
            return Out("failed" if isinstance(event, Failed) else "done")
        case GatherProperties():
            return _gathered(here, about, event)
        case MenuProperties():
            return _chosen(here, about, event)
        case OfferProperties():
            return _offered(here, about, event)
        case RecordConsentProperties():
            return _consented(here, about, event)
        case VoicemailProperties() if phase == READY:
            return Do(_message(about), WRITING)
        case HangupProperties():
            return Do(HangUp(about.cause), WRITING)
        case LookupProperties():
            name, values = _outcome(here, event)
            found = {f"{about.into}.{key}": value for key, value in values.items()}
            return Out(name, {**found, f"{about.into}.known": name == "found"})
        case HttpRequestProperties():
            name, values = _outcome(here, event)
            return Out(name, {key: values.get(key) for key in about.into} if name == "done" else {})
        case _:
            name, values = _outcome(here, event)
            prefix = here.state.verb.value
            return Out(name, {f"{prefix}.{key}": value for key, value in values.items()})


def _outcome(here: Here, event: Event) -> tuple[str, Mapping[str, Value]]:
    """What became of an action, by a name that the verb has; else it failed."""
    if isinstance(event, Came) and event.event in EVENTS[here.state.verb]:
        return event.event, clean_values(event.values)
    return "failed", {}


# -- questions -----------------------------------------------------------------------------------------------


def _question(here: Here, about: Asking, again: Prompts | None = None) -> Ask:
    digits, until, secret = 1, "", False
    if isinstance(about, GatherProperties):
        digits, until, secret = about.digits, about.until, about.secret
    elif isinstance(about, MenuProperties):
        keys = [key for key in here.state.transitions if key[0] in model.KEYS]
        digits = max(map(len, keys), default=1)
        until = "#" if digits > 1 and not any("#" in key for key in keys) else ""
    prompts = (*here.say(again), *here.say(about.prompt))
    return Ask(prompts, digits, until, about.first_s, about.between_s, about.barge_in, secret)


def _again(here: Here, about: Asking | RecordConsentProperties, event: str, ask: Ask) -> Do | Out:
    """The question once more; the event when it was asked often enough."""
    tries = here.position.tries + 1
    return Do(ask, here.position.phase, tries) if tries <= about.retries else Out(event)


def _keys(event: Event, until: str = "") -> str | None:
    """The keys of an event; "" where none came, None where the question was not asked."""
    match event:
        case Pressed(digits):
            pressed = "".join(key for key in digits[:MOST_TEXT] if key in model.KEYS)
            return pressed[:-1] if until and pressed.endswith(until) else pressed
        case Nothing() | Played():
            return ""
        case _:
            return None


def _gathered(here: Here, about: GatherProperties, event: Event) -> Do | Out:
    keys = _keys(event, about.until)
    if keys is None:
        return Out("failed")
    if not keys:
        return _again(here, about, "nothing", _question(here, about, about.nothing_prompt))
    if not about.least <= len(keys) <= about.digits or not set(keys) <= set(about.allowed):
        return _again(here, about, "invalid", _question(here, about, about.invalid_prompt))
    values = {about.into: keys}
    return Out("done", values, {} if about.secret else values)


def _chosen(here: Here, about: MenuProperties, event: Event) -> Do | Out:
    keys = _keys(event)
    if keys is None:
        return Out("failed")
    if not keys:
        return _again(here, about, "nothing", _question(here, about, about.nothing_prompt))
    if keys not in here.state.transitions:
        keys = keys.removesuffix("#")
    if keys not in here.state.transitions:
        return _again(here, about, "invalid", _question(here, about, about.invalid_prompt))
    kept = {about.into: about.values.get(keys, keys)} if about.into else {}
    return Out(keys, kept, kept or {"key": keys})


def _offered(here: Here, about: OfferProperties, event: Event) -> Do | Out:
    known = here.position.variables
    offer = plain(known.get("offer.id"))
    match here.position.phase, event:
        case "", Came("offered", values) if values.get("text"):
            clean = clean_values(values)
            clean["id"] = plain(clean.get("id")) or "?"
            now_known = {f"offer.{name}": value for name, value in clean.items()}
            return Do(_offer(here, about, str(clean["text"])), SHOWN, values=now_known)
        case "", _ if about.instead is not None:
            return Do(_offer(here, about, ""), SHOWN, values={"offer.id": "", "offer.text": ""})
        case "", Came("none" | "offered"):
            return Out("none")
        case "", _:
            return Out("failed")
        case "shown", _:
            return _answered(here, about, event, offer)
        case answer, _:
            # That it could not be written down changes nothing for the caller.
            return Out({"shown": "nothing"}.get(answer, answer))


def _answered(here: Here, about: OfferProperties, event: Event, offer: str) -> Do | Out:
    keys = _keys(event)
    if keys is None:
        return Out("failed")
    text = plain(here.position.variables.get("offer.text"))
    if keys == about.accept:
        answer = "accepted"
    elif keys and keys == about.decline:
        answer = "declined"
    else:
        again = _offer(here, about, text, about.invalid_prompt if keys else about.nothing_prompt)
        result = _again(here, about, "nothing", again)
        if isinstance(result, Do):
            return result
        answer = "nothing"
    if not offer:
        return Out(answer, collected={"offer": answer})
    return Do(OfferAnswer(about.place, offer, "shown" if answer == "nothing" else answer), answer)


def _offer(here: Here, about: OfferProperties, text: str, again: Prompts | None = None) -> Ask:
    words: tuple[Prompt, ...] = (
        (model.Text(text, here.position.language),) if text else here.say(about.instead)
    )
    prompts = (*here.say(again), *words, *here.say(about.prompt))
    return Ask(prompts, 1, "", about.first_s, about.between_s, about.barge_in)


def _consent(here: Here, about: RecordConsentProperties, again: Prompts | None = None) -> Ask:
    prompts = (*here.say(again), *here.say(about.prompt))
    return Ask(prompts, 1, "", about.first_s, about.first_s, about.barge_in)


def _consented(here: Here, about: RecordConsentProperties, event: Event) -> Do | Out:
    if here.position.phase:
        name = here.position.phase
        failed = isinstance(event, Failed) or (isinstance(event, Came) and event.event == "failed")
        return Out("failed") if failed else Out(name, collected={f"consent.{about.purpose}": name})
    keys = _keys(event)
    if keys is None:
        return Out("failed")
    if keys in (about.accept, about.refuse):
        return _decided(here, about, given=keys == about.accept)
    event_name = "refused" if keys else "nothing"
    again = about.invalid_prompt if keys else about.nothing_prompt
    return _again(
        here, about, event_name if keys == about.refuse else "nothing", _consent(here, about, again)
    )


def _decided(here: Here, about: RecordConsentProperties, *, given: bool) -> Do:
    days = about.valid_days
    until = here.now.date() + timedelta(days=days) if given and days else None
    return Do(RecordConsent(about.purpose, given, until), "given" if given else "refused")


# -- the rest ------------------------------------------------------------------------------------------------


def _message(about: VoicemailProperties) -> Voicemail:
    return Voicemail(about.box, about.most_s, about.beep, about.silence_s)


def _schedule(here: Here, about: ScheduleProperties) -> Do | Out:
    if about.hours is not None:
        return Do(CheckHours(about.hours))
    zone = hours.zone_of(about.zone)
    local = here.now.astimezone(zone) if zone else here.now
    return Out(hours.opening(about.week, about.exceptions, about.holidays, local))


def _request(here: Here, about: HttpRequestProperties) -> Do | Out:
    at = here.position
    try:
        url = hosts.fill(about.url, at.variables, here.now, at.language)
    except ValueError:
        return Out("failed")
    body = None if about.body is None else here.filled(about.body)
    return Do(Request(url, about.method, body, about.timeout_s, dict(about.into)))


def _holds(here: Here, about: ConditionProperties) -> bool:
    def holds(test: Test) -> bool:
        return _test(test, value_of(test.variable, here.position.variables, here.now))

    return all(map(holds, about.all)) and (not about.any or any(map(holds, about.any)))


def _test(test: Test, value: Value) -> bool:
    operator = next(iter(test.model_fields_set - {"variable"}))
    wanted: Any = getattr(test, operator)
    match operator:
        case "equals":
            return _same(value, wanted)
        case "differs":
            return not _same(value, wanted)
        case "one_of":
            return any(_same(value, one) for one in wanted)
        case "begins":
            return plain(value).startswith(wanted)
        case "known":
            return (value not in (None, "")) is wanted
        case _:
            try:
                number = float(plain(value).replace(",", "."))
            except ValueError:
                return False
            return bool(number > wanted if operator == "above" else number < wanted)


def _same(value: Value, wanted: Value) -> bool:
    """Whether a value is what was meant: 5, 5.0 and "5" are, whatever the digits came from."""
    return plain(value) == plain(wanted)
