"""What a campaign lays down for its calls: all that placing and following a call needs to know of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dialer.compliance.filters import Rules
from dialer.compliance.policy import ClockStart, Limits, Policy, Purpose
from dialer.compliance.timetable import Timetable
from dialer.pacing.model import DialMode
from dialer.trunks.model import Trunk
from scheduler.order import Order

#: AMD(initialSilence, greeting, afterGreetingSilence, total, minWord, betweenWords, maxWords, threshold), in
#: milliseconds, words and loudness. Measured with the greetings of 20 people and 20 machines: no machine was
#: taken for a person and no person for a machine; Asterisk's own default hangs up on two people of 20.
AMD_DEFAULTS: Mapping[str, int] = {
    "initial_silence": 2500,
    "greeting": 1500,
    "after_greeting_silence": 700,
    "total_analysis_time": 4000,
    "min_word_length": 100,
    "between_words_silence": 50,
    "max_words": 3,
    "silence_threshold": 256,
}


@dataclass(frozen=True, slots=True)
class CallTerms:
    """The terms of one running campaign's calls."""

    tenant_id: int
    campaign_id: int
    mode: DialMode
    #: power: calls for each ready agent
    ratio: float
    #: higher gets agents first
    priority: int
    policy: Policy
    #: only agents with it; None: any
    skill: str | None
    ring_timeout_s: int
    #: whether a machine detector listens, and its settings over AMD_DEFAULTS
    screens: bool
    amd: Mapping[str, int]
    record: bool
    wrap_up_limit_s: int
    #: sound of the abandon message, as Asterisk names it: an absolute path without its ending
    abandon_sound: str
    #: local hours at the called person's place
    window: Timetable
    #: in the order they are tried
    trunks: Sequence[Trunk]
    #: predictive: share of abandoned calls below the policy's cap, 0 to 1; None: the cap
    abandon_target: float | None = None
    #: predictive: whether ringing calls are taken back that no agent would be in time for
    take_back_ringing: bool = False
    #: which lead is next
    lead_order: Order = Order.OLDEST
    #: whether its lists have shares
    mixed: bool = False
    has_quotas: bool = False
    #: the campaign's own limits of attempts at a person, beside the policy's
    limits: Limits = Limits()  # noqa: RUF009 - frozen
    #: what the calls are for
    purpose: Purpose = Purpose.SERVICE
    #: without agents: the name of the flow that speaks with who answers, calls at once, calls a second, and
    #: whether an answering machine is left the message
    flow: str = ""
    flow_lines: int = 0
    flow_rate: float = 1.0
    message_to_machines: bool = False
    #: the name of the flow that customers go through after the talk; empty: none
    survey: str = ""
    #: what decides whether a number may be dialled
    rules: Rules = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        rules = Rules(self.policy, self.window, self.mode, self.limits, self.purpose)
        object.__setattr__(self, "rules", rules)

    @property
    def amd_settings(self) -> Mapping[str, int]:
        """The detector's settings in AMD()'s order."""
        return {name: self.amd.get(name, value) for name, value in AMD_DEFAULTS.items()}

    @property
    def amd_arguments(self) -> str:
        """AMD()'s arguments, or nothing where nobody listens."""
        return ",".join(str(value) for value in self.amd_settings.values()) if self.screens else ""

    @property
    def clock_at_greeting_end(self) -> bool:
        """Whether the wait is counted from the end of the greeting."""
        return self.policy.clock is ClockStart.GREETING_END
