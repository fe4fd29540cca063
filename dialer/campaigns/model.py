"""A campaign: its life, what agents say of its talks, and the message for people whom no agent can take.

    draft --start--> running --pause--> paused --resume--> running
                        |                  |
                        +------stop--------+---> stopped

A draft or paused campaign can be changed; a stopped one stays as it was, for its figures.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Protocol

from dialer.compliance.policy import Purpose
from dialer.compliance.readiness import StartSettings
from dialer.compliance.timetable import Timetable
from dialer.errors import WrongState
from dialer.httpkit.access import Actor
from dialer.pacing.model import DialMode
from dialer.trunks.model import Trunk
from ivr_flows.dispositions import codes


class Status(StrEnum):
    """Where a campaign is in its life."""

    DRAFT = "draft"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"


class Action(StrEnum):
    """What a supervisor does with it."""

    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"


_S, _A = Status, Action

#: (status, action) -> the status after it. What is not here is refused.
TRANSITIONS: Final[Mapping[tuple[Status, Action], Status]] = MappingProxyType(
    {
        (_S.DRAFT, _A.START): _S.RUNNING,
        (_S.RUNNING, _A.PAUSE): _S.PAUSED,
        (_S.PAUSED, _A.RESUME): _S.RUNNING,
        (_S.RUNNING, _A.STOP): _S.STOPPED,
        (_S.PAUSED, _A.STOP): _S.STOPPED,
    }
)

#: Fields that stay as they are once calls were made: the attempts of one campaign answer to one policy.
FIXED_AFTER_START: Final = frozenset({"policy"})


#: How fast a campaign dials, and which gets agents first: that is changed while it runs, too.
TUNED: Final = frozenset(
    {"ratio", "abandon_target", "take_back_ringing", "priority", "wrap_up_limit_s", "flow_lines", "flow_rate"}
)
#: The modes in which calls are paced for agents; from one to another of them a campaign goes as it runs.
PACED: Final = ("progressive", "power", "predictive")


def after(status: Status, action: Action, name: str) -> Status:
    """The status after the action. Raises WrongState."""
    following = TRANSITIONS.get((status, action))
    if following is None:
        allowed = " or ".join(before for before, act in TRANSITIONS if act is action)
        raise WrongState(what=name, state=status.value, allowed=allowed)
    return following


def check_editable(status: Status, name: str, before: Mapping[str, Any], changed: Mapping[str, Any]) -> None:
    """Raise WrongState unless these fields may be changed in this status."""
    tuned = set(TUNED)
    if "mode" in changed and {before["mode"], changed["mode"]} <= set(PACED):
        tuned.add("mode")
    fixed: set[str] = set()
    if status is Status.RUNNING:
        fixed, reason = changed.keys() - tuned, "is changed while the campaign is paused"
    elif status is Status.STOPPED:
        fixed, reason = set(changed), "is changed no more"
    if fixed or status is Status.STOPPED:
        errors = [{"field": field, "reason": reason} for field in sorted(fixed)]
        raise WrongState(what=name, state=status.value, allowed="draft or paused", errors=errors)
    if status is not Status.DRAFT and not FIXED_AFTER_START.isdisjoint(changed):
        raise WrongState(what=name, state=status.value, allowed="draft")


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign as it is kept."""

    id: int
    name: str
    status: Status
    mode: str
    #: power: calls for each ready agent
    ratio: float
    #: predictive: share of abandoned calls, 0 to 1; None: the policy's cap
    abandon_target: float | None
    #: predictive: whether ringing calls are taken back that no agent would be in time for
    take_back_ringing: bool
    #: without agents: the flow (its name) that speaks with who answers; None: none is chosen
    flow: str | None
    #: calls at once, and calls a second
    flow_lines: int
    flow_rate: float
    #: whether an answering machine is left the message
    message_to_machines: bool
    #: the script (its name) by which agents talk; None: there is none
    script: str | None
    #: the flow (its name) that customers go through after the talk; None: there is none
    survey: str | None
    #: code of a policy
    policy: str
    #: the version that it keeps to; None: the newest, whenever that comes
    policy_version: int | None
    #: what its calls are for
    purpose: str
    #: only agents with it; None: any agent
    skill: str | None
    #: higher gets agents first
    priority: int
    ring_timeout_s: int
    detect_machines: bool
    #: settings of the machine detector over the measured ones
    amd: Mapping[str, int]
    record: bool
    wrap_up_limit_s: int
    #: template of a person's address in an outside CRM (`calls.crm`), empty: there is none; whether the desk
    #: shows it in a frame, or opens a tab
    crm_url: str
    crm_frame: bool
    #: who calls, as people are told
    caller_name: str
    #: words of the message for a call that no agent can take
    abandon_message: str
    #: its sound file without the ending, in the prompts folder; None: not made yet
    abandon_sound: str | None
    #: whether a pause takes ringing calls back
    drop_ringing_on_pause: bool
    #: local time at the called person's place, HH:MM
    call_from: str
    call_until: str
    #: spans of weekdays with other hours (`sat`), and of dates (`2026-12-31`)
    week: Mapping[str, Sequence[str]]
    exceptions: Mapping[str, Sequence[str]]
    #: whether it calls on public holidays, as far as the policy does
    on_holidays: bool
    max_attempts: int
    #: attempts at a person in 24 hours, 7 and 31 days, in all campaigns; None: as the policy says
    most_per_day: int | None
    most_per_week: int | None
    most_per_month: int | None
    #: over the defaults, as `scheduler.retry.retries_of` reads it
    retries: Mapping[str, Any]
    #: which lead is next: a word of `scheduler.order.Order`
    lead_order: str
    #: what happens to a callback whose agent is not there: a word of `scheduler.callbacks.Away`
    callback_away: str
    #: how long its agent is waited for
    callback_wait_s: int
    #: how often one that nobody answers is tried, and how long after the last try
    callback_tries: int
    callback_retry_s: int
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None

    @property
    def window(self) -> Timetable:
        """The hours of calling."""
        return Timetable.read(
            self.call_from, self.call_until, self.week, self.exceptions, on_holidays=self.on_holidays
        )


@dataclass(frozen=True, slots=True)
class Disposition:
    """What a talk may come to, in an agent's words."""

    code: str
    label_ru: str
    label_en: str
    #: what it means for reports and for the next attempt: one of DISPOSITION_KINDS of the tables
    kind: str


#: What a new campaign begins with.
DEFAULT_DISPOSITIONS: Final[Sequence[Disposition]] = (
    Disposition("sale", "Продажа", "Sale", "sale"),
    Disposition("interest", "Интересно, продолжить", "Interested", "interest"),
    Disposition("callback", "Перезвонить", "Call back", "callback"),
    Disposition("refusal", "Отказ", "Refusal", "refusal"),
    Disposition("wrong-person", "Не тот человек", "Wrong person", "wrong_person"),
    Disposition("no-contact", "Не удалось поговорить", "No contact", "no_contact"),
    Disposition("do-not-call", "Просит не звонить", "Do not call", "do_not_call"),
    Disposition("other", "Другое", "Other", "other"),
)

#: What a campaign without agents has besides: what the shipped surveys and confirmations of visits come to. A
#: goal that is reached counts as a sale; a survey that was broken off is not begun anew by itself.
FLOW_DISPOSITIONS: Final[Sequence[Disposition]] = (
    Disposition("survey-completed", "Опрос пройден", "Survey completed", "sale"),
    Disposition("survey-partial", "Опрос не окончен", "Survey broken off", "other"),
    Disposition("visit-confirmed", "Визит подтверждён", "Visit confirmed", "sale"),
    Disposition("visit-moved", "Визит переносят", "Visit to be moved", "callback"),
    Disposition("visit-cancelled", "Визит отменён", "Visit cancelled", "refusal"),
)


def usual_dispositions(mode: str) -> Sequence[Disposition]:
    """What a new campaign of this mode begins with."""
    return (*DEFAULT_DISPOSITIONS, *FLOW_DISPOSITIONS) if mode == DialMode.FLOW else DEFAULT_DISPOSITIONS


@dataclass(frozen=True, slots=True)
class PauseCode:
    """Why an agent takes no calls."""

    code: str
    label_ru: str
    label_en: str
    #: how long such a pause may last, seconds; None: no limit
    limit_s: int | None = None


#: What a tenant begins with.
DEFAULT_PAUSE_CODES: Final[Sequence[PauseCode]] = (
    PauseCode("break", "Перерыв", "Break", 15 * 60),
    PauseCode("lunch", "Обед", "Lunch", 60 * 60),
    PauseCode("training", "Обучение", "Training"),
    PauseCode("meeting", "Совещание", "Meeting"),
    PauseCode("paperwork", "Работа с документами", "Paperwork"),
    PauseCode("technical", "Техническая причина", "Technical problem"),
)


class AsteriskSounds(Protocol):
    """Makes sounds that Asterisk can play; wired by the application."""

    async def message(self, tenant_id: int, campaign_id: int, words: str) -> str:
        """Make the sound of a campaign's message in the prompts folder; its path, without the ending.

        Other words must get another path: a call that is under way may play the old one.
        Raises BadSound for words that cannot be spoken, PartMissing when no voice can be had.
        """
        ...


class Outlook(Protocol):
    """Says of a campaign that was just started why it dials nothing; wired by the application."""

    async def warnings(self, actor: Actor, campaign_id: int) -> Sequence[tuple[str, str]]:
        """Each reason with its stable name, in the actor's language; none: it dials."""
        ...


def start_settings(
    campaign: Campaign,
    trunks: Sequence[Trunk],
    dispositions: Collection[str],
    flow: Mapping[str, Any] | None = None,
) -> StartSettings:
    """What is asked of a campaign before it starts. `dispositions`: the codes of those that it has; `flow`:
    what its flow says now, None: nothing is live."""
    usable = [trunk for trunk in trunks if trunk.enabled and trunk.allowed_prefixes]
    return StartSettings(
        mode=campaign.mode,
        ratio=campaign.ratio,
        abandon_target=campaign.abandon_target if campaign.mode == "predictive" else None,
        detect_machines=campaign.detect_machines,
        ring_timeout_s=campaign.ring_timeout_s,
        window=campaign.window,
        caller_name=campaign.caller_name,
        abandon_message=campaign.abandon_message,
        trunks=len(usable),
        dispositions=len(dispositions),
        purpose=Purpose(campaign.purpose),
        this_machine=bool(usable) and all(trunk.on_this_machine for trunk in usable),
        flow=campaign.flow or "",
        flow_live=flow is not None,
        flow_opts_out=flow is not None and any(one.get("type") == "opt_out" for one in flow["states"]),
        flow_unknown=[code for code in codes(flow) if code not in dispositions] if flow is not None else [],
    )


def changed_fields(before: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Of the wanted values those that differ."""
    return {name: value for name, value in wanted.items() if before[name] != value}
