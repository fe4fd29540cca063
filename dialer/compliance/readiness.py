"""What keeps a campaign from starting: every reason at once, so that it is mended in one go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dialer.compliance.policy import AUTOMATIC, BY_MACHINE, ClockStart, Policy, Purpose
from dialer.compliance.timetable import Timetable

#: Modes whose dialling the server can do today.
DIALS = frozenset({"manual", "preview", *BY_MACHINE, AUTOMATIC})


@dataclass(frozen=True, slots=True)
class StartSettings:
    """What is looked at before a campaign starts."""

    #: manual, preview, progressive, power, predictive or flow
    mode: str
    #: power: calls for each ready agent
    ratio: float
    #: whether answered calls are screened for answering machines
    detect_machines: bool
    #: seconds a call may ring
    ring_timeout_s: int
    #: local hours of the campaign
    window: Timetable
    #: who calls, as the message must say it
    caller_name: str
    #: words of the recorded message for a call that no agent can take
    abandon_message: str
    #: enabled trunks of the campaign that allow at least one prefix
    trunks: int
    #: dispositions that agents can choose from
    dispositions: int
    #: whether the carriers of all those trunks are on this machine
    this_machine: bool = False
    #: predictive: share of abandoned calls, 0 to 1; None: the policy's cap
    abandon_target: float | None = None
    #: what the calls are for
    purpose: Purpose = Purpose.SERVICE
    #: without agents: the name of the flow that speaks with who answers
    flow: str = ""
    #: whether that is published, and whether a key of it has the person called no more
    flow_live: bool = False
    flow_opts_out: bool = False
    #: codes by which it says what calls came to, and which are none of the campaign's dispositions
    flow_unknown: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason not to start."""

    #: Stable name of the reason.
    code: str
    #: The sentence, in English, with `{names}`: what a translator sees.
    template: str
    #: What fills the names.
    values: Mapping[str, object] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The sentence in English."""
        return self.template.format(**self.values)


def start_problems(settings: StartSettings, policy: Policy | None) -> list[Problem]:
    """Every reason why a campaign with these settings may not start; a `policy` that is None is not known."""
    found = [*_mode(settings), *_flow(settings), *_parts(settings), *_message(settings)]
    if policy is None:
        return [*found, Problem("no-policy", "the policy of the campaign is not known to this server")]
    return [*found, *_by_policy(settings, policy)]


def _mode(settings: StartSettings) -> Iterator[Problem]:
    if settings.mode not in DIALS:
        yield Problem("mode-unknown", "there is no mode {mode}", {"mode": settings.mode})
    if settings.mode == "power" and settings.ratio < 1:
        yield Problem(
            "ratio", "the ratio of power dialling is {ratio}; it must be 1 or more", {"ratio": settings.ratio}
        )


def _flow(settings: StartSettings) -> Iterator[Problem]:
    if settings.mode != AUTOMATIC:
        return
    if not settings.flow:
        yield Problem("no-flow", "no flow is chosen that speaks with who answers")
    elif not settings.flow_live:
        yield Problem("flow-not-live", "the flow {flow} is not published", {"flow": settings.flow})
    elif settings.purpose is Purpose.ADVERTISING and not settings.flow_opts_out:
        yield Problem(
            "flow-without-opt-out",
            "the flow {flow} has no state opt_out: who hears advertising from a machine must be able to end "
            "it by a key (16 CFR 310.4(b)(1)(v)(B))",
            {"flow": settings.flow},
        )
    if settings.flow_unknown:
        yield Problem(
            "flow-disposition",
            "the flow {flow} says that calls came to {codes}, which is no disposition of the campaign",
            {"flow": settings.flow, "codes": ", ".join(settings.flow_unknown)},
        )


def _parts(settings: StartSettings) -> Iterator[Problem]:
    if settings.trunks == 0:
        yield Problem("no-trunk", "no trunk is chosen that is switched on and allows a number prefix")
    if settings.dispositions == 0:
        yield Problem("no-disposition", "there is no disposition for agents to choose from")


def _message(settings: StartSettings) -> Iterator[Problem]:
    if not settings.caller_name:
        yield Problem("no-caller-name", "the name of the caller is empty")
    if not settings.abandon_message:
        yield Problem("no-abandon-message", "there is no message for a call that no agent can take")
    elif settings.caller_name and not names(settings.abandon_message, settings.caller_name):
        yield Problem(
            "message-names-nobody",
            "the message for a call that no agent can take does not name the caller ({name})",
            {"name": settings.caller_name},
        )


def names(message: str, caller: str) -> bool:
    """Whether the message says the caller's name, whatever the capitals and the spaces between words."""
    return " ".join(caller.split()).casefold() in " ".join(message.split()).casefold()


def _by_policy(settings: StartSettings, policy: Policy) -> Iterator[Problem]:
    yield from rule_problems(settings.mode, settings.purpose, policy)
    if settings.abandon_target is not None and settings.abandon_target > policy.abandon_cap:
        yield Problem(
            "target-over-cap",
            "the campaign may abandon {target} of its calls; the policy {policy} allows {cap}",
            {
                "target": f"{settings.abandon_target * 100:g}%",
                "policy": policy.code,
                "cap": f"{policy.abandon_cap * 100:g}%",
            },
        )
    waits = settings.mode != AUTOMATIC
    if waits and settings.detect_machines and policy.clock is not ClockStart.GREETING_END:
        yield Problem(
            "screening-clock",
            "screening for machines takes most of the {seconds} s that a person may wait, and the policy "
            "{policy} counts them from the answer; choose a policy that counts from the end of the greeting, "
            "or switch the screening off",
            {"seconds": f"{policy.abandon_after_s:g}", "policy": policy.code},
        )
    if settings.ring_timeout_s < policy.min_ring_s:
        yield Problem(
            "ring-too-short",
            "calls ring {seconds} s; the policy {policy} asks for at least {least} s",
            {"seconds": settings.ring_timeout_s, "policy": policy.code, "least": policy.min_ring_s},
        )
    if not any(one.common(other) for one in policy.week.days for other in settings.window.days):
        yield Problem(
            "never-open",
            "the hours of the campaign ({hours}) have nothing in common with those of the policy {policy}",
            {"hours": settings.window.words, "policy": policy.code},
        )
    if policy.this_machine_only and not settings.this_machine:
        yield Problem(
            "policy-of-demo",
            "the policy {policy} is only for trunks whose carrier is on this machine",
            {"policy": policy.code},
        )


def rule_problems(mode: str, purpose: Purpose, policy: Policy) -> Iterator[Problem]:
    """Why calls for this purpose may not be dialled in this mode under the policy: known before a campaign is
    saved."""
    if not policy.serves(purpose):
        yield Problem(
            "purpose-differs",
            "the policy {policy} is for another purpose than the campaign's",
            {"policy": policy.code},
        )
    if not policy.forbids(mode):
        return
    if policy.forbidden_modes >= BY_MACHINE:
        yield Problem(
            "mode-forbidden",
            "the policy {policy} forbids the mode {mode}: a person has to start each call ({source}); choose "
            "preview or manual",
            {"policy": policy.code, "mode": mode, "source": policy.forbidden_by or policy.source},
        )
    else:
        yield Problem(
            "mode-forbidden",
            "the policy {policy} forbids the mode {mode}",
            {"policy": policy.code, "mode": mode},
        )
