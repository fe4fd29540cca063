"""The texts of why-not, in English: a sentence for each answer of each step, and words for what it names."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from dialer.whynot import model as m


def mark(text: str) -> str:
    """Mark a text as a message id; it is looked up when it is shown."""
    return text


TITLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        m.CAMPAIGN: mark("Campaign"),
        m.POLICY: mark("Policy"),
        m.LEAD: mark("Lead"),
        m.CALL: mark("In a call"),
        "number": mark("Number"),
        "do_not_call": mark("Do not call"),
        "consent": mark("Consent"),
        "mode": mark("Way of dialling"),
        m.WAIT: mark("Wait of its own"),
        "zone": mark("Time zone"),
        "hours": mark("Hours"),
        "limits": mark("Limits of attempts"),
        "redial": mark("After the last call"),
        "quota": mark("Quotas"),
        m.WINDOW: mark("Calendar"),
        m.LINES: mark("Trunks"),
        m.SERVER: mark("Server"),
        m.AGENTS: mark("Agents"),
        m.TURN: mark("Its turn"),
    }
)

#: Why a lead is closed, as the end of a sentence.
CLOSED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "max_attempts": mark("all attempts made"),
        "answered": mark("it came to a talk"),
        "busy": mark("busy"),
        "no_answer": mark("no answer"),
        "invalid": mark("wrong number"),
        "congestion": mark("network congestion"),
        "declined": mark("declined"),
        "machine": mark("answering machine"),
        "abandoned": mark("abandoned"),
        "caller_hung_up": mark("hung up before an agent"),
        "failed": mark("failure"),
        "canceled": mark("taken back"),
        "unknown": mark("nobody knows what the last call came to"),
        "sale": mark("sale"),
        "interest": mark("interested"),
        "callback": mark("call back"),
        "refusal": mark("refusal"),
        "wrong_person": mark("wrong person"),
        "no_contact": mark("no contact"),
        "do_not_call": mark("asked not to be called"),
        "dead_number": mark("dead number"),
        "duplicate": mark("duplicate of a person"),
        "segment": mark("no longer of the segment"),
        "erased": mark("the person was erased"),
        "other": mark("other"),
    }
)
SOURCES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "operator": mark("entered by hand"),
        "disposition": mark("said in a call"),
        "key_press": mark("pressed a key"),
        "api": mark("entered by a program"),
        "import": mark("from a file"),
        "registry": mark("from a registry"),
        "erased": mark("the person was erased and had asked for it"),
    }
)
LACKS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "none": mark("none is on record"),
        "withdrawn": mark("it was withdrawn"),
        "expired": mark("it is over"),
        "not_yet": mark("it begins later"),
    }
)
PURPOSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "service": mark("service calls"),
        "advertising": mark("advertising calls"),
        "collection": mark("debt collection"),
        "survey": mark("surveys"),
        "any": mark("calls of any purpose"),
    }
)
MODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "manual": mark("manual"),
        "preview": mark("preview"),
        "progressive": mark("progressive"),
        "power": mark("power"),
        "predictive": mark("predictive"),
        "flow": mark("without agents"),
    }
)

#: (step, reason) -> the sentence. An empty reason is how a step passes, or stops for no other reason.
TEXTS: Final[Mapping[tuple[str, str], str]] = MappingProxyType(
    {
        (m.CAMPAIGN, "running"): mark("The campaign runs."),
        (m.CAMPAIGN, "draft"): mark("The campaign was not started yet."),
        (m.CAMPAIGN, "paused"): mark("The campaign is paused."),
        (m.CAMPAIGN, "stopped"): mark("The campaign was stopped for good."),
        (m.POLICY, "known"): mark("The campaign goes by {policy}."),
        (m.POLICY, "unknown"): mark("The campaign's policy is not known here: nobody is called by it."),
        (m.LEAD, "open"): mark("The lead is open."),
        (m.LEAD, "none"): mark("The campaign has no such lead: the number is on none of its lists."),
        (m.LEAD, "closed"): mark("The lead is closed: {closed}."),
        (m.CALL, ""): mark("The number is in no call."),
        (m.CALL, "in_call"): mark("The lead is being called at this moment."),
        (m.CALL, "offered"): mark("An agent has the lead on the screen."),
        (m.CALL, "number_busy"): mark("The number is in a call of another campaign, or by hand."),
        ("number", ""): mark("The number is alive."),
        ("number", "dead_number"): mark("The number leads to nobody: it was marked as dead."),
        ("do_not_call", ""): mark("Nobody has asked not to be called."),
        ("do_not_call", "do_not_call"): mark("The number is not to be called: {source}."),
        ("consent", "given"): mark("There is a consent."),
        ("consent", "not_asked"): mark("The policy asks for none."),
        ("consent", "no_consent"): mark("The policy {policy} asks for a consent to {purpose}, and {lack}."),
        ("mode", ""): mark("The policy allows this way of dialling."),
        ("mode", "mode_forbidden"): mark("The policy {policy} forbids the mode {mode}."),
        (m.WAIT, ""): mark("It waits for nothing."),
        (m.WAIT, "retry"): mark("It waits for the next attempt; the last came to: {result}."),
        (m.WAIT, "promised"): mark("The call was promised for now."),
        (m.WAIT, "callback"): mark("The person was promised a call for later."),
        (m.WAIT, "callback_own"): mark("The call is due: {agent} has promised it, and makes it when free."),
        (m.WAIT, "trunk"): mark("No trunk of the campaign may call such numbers."),
        (m.WAIT, "later"): mark("It is to be dialled later."),
        ("zone", "known"): mark("There: {clocks}."),
        ("zone", "no_zone"): mark("Nobody knows where the number is, so nobody knows what time it is there."),
        ("zone", "unknown_zone"): mark("There is no time zone {detail}."),
        ("hours", "open"): mark("Calls are allowed until {when}."),
        ("hours", "always"): mark("Calls are allowed round the clock."),
        ("hours", "out_of_hours"): mark("It is outside of the hours of calling."),
        ("hours", "no_common_hours"): mark("The hours of campaign, policy and phone have nothing in common."),
        ("hours", "no_zone"): mark("Nobody knows where the number is."),
        ("hours", "unknown_zone"): mark("Nobody knows where the number is."),
        ("limits", "counted"): mark("Attempts that count in the last 24 hours: {today}."),
        ("limits", "attempts_per_day"): mark("The person was tried as often as is allowed in a day."),
        ("limits", "attempts_per_week"): mark("The person was tried as often as is allowed in a week."),
        ("limits", "attempts_per_month"): mark("The person was tried as often as is allowed in a month."),
        ("redial", ""): mark("The last calls ask for no silence."),
        ("redial", "after_abandoned"): mark("A call was abandoned: the policy asks for silence after it."),
        ("redial", "after_machine"): mark("A machine answered: the policy asks for silence after it."),
        ("redial", "after_refusal"): mark("The person refused: the policy asks for silence after it."),
        ("quota", ""): mark("No quota that the person falls under is full."),
        ("quota", "quota_full"): mark("The quota {detail} is full."),
        (m.WINDOW, ""): mark("Nothing else is written on the lead."),
        (m.WINDOW, "being_written"): mark("Its hours are being written anew: a few seconds."),
        (m.WINDOW, "rests"): mark("It was put off ({hold}), and that is over: it is looked at again."),
        (m.LINES, ""): mark("The trunks take calls."),
        (m.LINES, "takes"): mark("The trunk {trunk} takes the call."),
        (m.LINES, "no_trunk"): mark("No trunk of the campaign is switched on."),
        (m.LINES, "unreachable"): mark("The carrier of the trunk {trunk} does not answer."),
        (m.LINES, "prefix"): mark("No trunk of the campaign may call such numbers."),
        (m.LINES, "no_rate"): mark("Money is capped, and no trunk has a tariff for such numbers."),
        (m.LINES, "trunk_bad"): mark("The trunk {trunk} fails all calls; one now and then tries it."),
        (m.LINES, "spend"): mark("The trunk {trunk} has spent its money of today."),
        (m.LINES, "channels"): mark("All lines of the trunk {trunk} are taken."),
        (m.LINES, "rate"): mark("The trunk {trunk} takes no more calls in this second."),
        (m.LINES, "tenant_spend"): mark("All money of today is spent."),
        (m.LINES, "tenant_channels"): mark("As many calls are on the lines as there may be at once."),
        (m.LINES, "tenant_rate"): mark("No more calls may be placed in this second."),
        (m.SERVER, ""): mark("The server is at work."),
        (m.SERVER, "engine_down"): mark("The engine does not run: nothing is dialled."),
        (m.SERVER, "asterisk_down"): mark("The engine does not reach Asterisk: nothing is dialled."),
        (m.SERVER, "disk_full"): mark("The disk of the database is full: nothing is dialled."),
        (m.AGENTS, "there"): mark("Agents logged in: {logged_in}, ready: {ready}."),
        (m.AGENTS, "none"): mark("No agent is logged in."),
        (m.AGENTS, "none_with_skill"): mark(
            "No agent with the skill {skill} is logged in (without it: {others})."
        ),
        (m.AGENTS, "none_ready"): mark("No agent is ready: {logged_in} on pause or without a phone."),
        (m.AGENTS, "all_busy"): mark("No agent is free: {busy} talk or wrap up."),
        (m.AGENTS, "by_hand"): mark("Agents type the numbers themselves: nothing is dialled for them."),
        (m.AGENTS, "by_flow"): mark("The flow {flow} speaks with who answers: no agent is needed."),
        (m.TURN, "promised"): mark(
            "It is dialled before the list: the call was promised. Calls of the last hour: {calls}."
        ),
        (m.TURN, "ahead"): mark(
            "It is dialled in its turn; before it come: {ahead}. Calls of the last hour: {calls}."
        ),
        (m.TURN, "of_list"): mark(
            "It is dialled in its turn; lists take turns by their shares, and on its own before it come: "
            "{ahead}. Calls of the last hour: {calls}."
        ),
        (m.TURN, "many"): mark(
            "It is dialled in its turn; before it come more than {ahead}. Calls of the last hour: {calls}."
        ),
    }
)
#: The end of a step that stops, where a time is known.
OPENS: Final = mark("It opens {when}.")
UNTIL: Final = mark("Until {when}.")

#: (step, reason) -> what leads of a campaign are that it stops; "" for any other reason.
LABELS: Final[Mapping[tuple[str, str], str]] = MappingProxyType(
    {
        (m.LEAD, ""): mark("closed"),
        (m.CALL, "in_call"): mark("being called"),
        (m.CALL, "offered"): mark("shown to an agent"),
        (m.CALL, "number_busy"): mark("in another call"),
        ("number", ""): mark("dead number"),
        ("do_not_call", ""): mark("do-not-call"),
        ("consent", ""): mark("without a consent"),
        ("mode", ""): mark("way of dialling forbidden"),
        (m.WAIT, "retry"): mark("waiting for retry"),
        (m.WAIT, "callback"): mark("waiting for a callback"),
        (m.WAIT, "callback_own"): mark("waiting for who promised the call"),
        (m.WAIT, "trunk"): mark("no trunk for such numbers"),
        (m.WAIT, "later"): mark("for later"),
        ("zone", ""): mark("time zone not known"),
        ("hours", ""): mark("outside hours"),
        ("limits", ""): mark("tried as often as allowed"),
        ("redial", ""): mark("silence after the last call"),
        ("quota", ""): mark("quota full"),
        (m.WINDOW, "being_written"): mark("hours being written"),
    }
)
READY: Final = mark("ready")
