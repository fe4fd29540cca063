"""The words of states, results, modes and reasons, in the reader's language.

Each is a message id in English under its kind as context, so that an agent's "ready" may differ from another
one; `mark` marks sentences. A test holds that every one has its Russian words.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from dialer.httpkit.i18n import translator
from dialer.reports.present import Pace
from dialer.web.flow_words import FLOW_WORDS
from dialer.web.people_words import PEOPLE_WORDS
from dialer.web.quality_words import QUALITY_WORDS
from dialer.web.queue_words import QUEUE_WORDS
from dialer.web.script_words import SCRIPT_WORDS
from dialer.web.segment_words import SEGMENT_WORDS
from dialer.web.talk_words import TALK_WORDS


def mark(text: str) -> str:
    """Mark a text as a message id; it is looked up when it is shown."""
    return text


#: kind (the message's context) -> name -> text.
WORDS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "agent": {
            "calling": "phone is called",
            "paused": "on pause",
            "ready": "ready",
            "reserved": "chosen for a call",
            "talking": "talking",
            "hold": "on hold",
            "wrap_up": "wrap-up",
            "lost": "phone is lost",
            "offline": "logged out",
        },
        "agents": {
            "calling": "Phone is called",
            "paused": "On pause",
            "ready": "Ready",
            "reserved": "Chosen",
            "talking": "Talking",
            "hold": "On hold",
            "preview": "Preview",
            "wrap_up": "Wrap-up",
            "lost": "Phone lost",
            "offline": "Logged out",
        },
        "forced": {
            "ready": "You were made ready",
            "paused": "You were put on pause",
            "offline": "You were logged out",
        },
        "alert": {
            "abandon_share": "abandoned calls near their limit, percent of it",
            "wait": "somebody waits in a queue, seconds",
            "no_agent": "no agent is ready, seconds",
            "list_ends": "the list ends in less, minutes",
            "service_level": "the service level is lower, %",
            "trunk_bad": "a trunk fails calls",
            "pause_over": "a pause is over its limit, minutes more",
        },
        "call": {
            "dialling": "dialling",
            "ringing": "ringing",
            "answered": "answered",
            "screening": "machine check",
            "flow": "in the IVR",
            "waiting": "waiting for an agent",
            "connected": "in a talk",
            "wrap_up": "wrap-up",
            "ended": "ended",
        },
        "result": {
            "answered": "talk",
            "busy": "busy",
            "no_answer": "no answer",
            "invalid": "wrong number",
            "congestion": "network congestion",
            "declined": "declined",
            "machine": "answering machine",
            "abandoned": "abandoned",
            "caller_hung_up": "hung up before an agent",
            "failed": "failure",
            "canceled": "taken back",
            "unknown": "not known",
            "contained": "served by the IVR",
            "left": "left in the IVR",
            "voicemail": "voicemail",
            "callback": "asked to be called",
            "transferred": "put through",
        },
        "fault": {
            "unreachable": "the carrier does not answer OPTIONS",
            "no_response": "the carrier does not answer calls",
            "not_placed": "Asterisk could not place the calls",
        },
        "campaign": {
            "draft": "draft",
            "running": "running",
            "paused": "campaign paused",
            "stopped": "stopped",
        },
        "mode": {
            "manual": "Manual",
            "preview": "Preview",
            "progressive": "Progressive",
            "power": "Power",
            "predictive": "Predictive",
            "flow": "Without agents",
            "inbound": "Came in",
        },
        "direction": {
            "outbound": "call of ours",
            "inbound": "came in",
        },
        "noted": {
            "marked": "marked",
            "held": "on hold",
        },
        "mode_help": {
            "manual": "an agent types the number",
            "preview": "an agent sees the card first and starts the call",
            "progressive": "one call for each free agent",
            "power": "a fixed number of calls for each free agent",
            "predictive": "as many calls as agents will be free for; holds the share of abandoned calls",
            "flow": "a flow speaks with who answers; as many calls as there are lines for it",
        },
        "lead_order": {
            "oldest": "oldest first",
            "newest": "newest first",
            "priority": "by priority",
            "random": "shuffled",
            "fewest_attempts": "fewest attempts first",
            "best_hour": "by the best hour of each",
        },
        "lead_order_help": {
            "oldest": "in the order of their files",
            "newest": "what was added last comes first",
            "priority": "the highest first; from the column “priority” of a file, or by API",
            "random": "once, by chance",
            "fewest_attempts": "everybody once before anybody twice",
            "best_hour": "of the oldest those who answer best at this hour, as far as it is learned",
        },
        "closed": {
            "max_attempts": "all attempts made",
            "sale": "sale",
            "interest": "interested",
            "callback": "call back",
            "refusal": "refusal",
            "wrong_person": "wrong person",
            "no_contact": "no contact",
            "do_not_call": "asked not to be called",
            "dead_number": "dead number",
            "duplicate": "duplicate of a person",
            "other": "other",
        },
        "lead": {
            "new": "not called yet",
            "offered": "shown to an agent",
            "dialling": "being called",
            "waiting": "waiting for the next attempt",
            "closed": "closed",
        },
        "section": {
            "board": "Board",
            "campaigns": "Campaigns",
            "calls": "Calls",
            "call_log": "Call log",
            "recordings": "Recordings",
            "reviews": "Quality",
            "surveys": "Surveys",
            "callbacks": "Callbacks",
            "voicemail": "Voicemail",
            "incoming": "Inbound",
            "incoming_calls": "Inbound calls",
            "queues": "Queues",
            "flows": "Flows",
            "numbers": "Numbers",
            "hours": "Hours",
            "offers": "Offers",
            "agents": "Agents",
            "customers": "Customers",
            "contacts": "Contacts",
            "lists": "Lists",
            "segments": "Segments",
            "visits": "Visits",
            "do_not_call": "Do not call",
            "set_up": "Set-up",
            "trunks": "Trunks",
            "destinations": "Destinations",
            "hosts": "Hosts",
            "policies": "Policies",
            "scripts": "Scripts",
            "knowledge": "Knowledge base",
            "prompts": "Prompts",
            "users": "Users",
            "desk": "My desk",
        },
        "dnc_source": {
            "operator": "by hand",
            "disposition": "said in a call",
            "key_press": "pressed a key",
            "api": "by a program",
            "import": "a file",
            "registry": "a registry",
        },
        "import": {
            "preview": "to be looked at",
            "queued": "queued",
            "running": "loading",
            "done": "loaded",
            "failed": "import failed",
        },
        "column": {
            "phone": "phone",
            "last_name": "last name",
            "first_name": "first name",
            "middle_name": "patronymic",
            "full_name": "full name",
            "email": "e-mail",
            "timezone": "time zone",
            "external_id": "key of your CRM",
            "priority": "priority of the leads",
            "consent_purpose": "consent: to which calls",
            "consent_source": "consent: where it was given",
            "consent_from": "consent: first day",
            "consent_until": "consent: last day",
            "consent_proof": "consent: its proof",
            "custom": "field of your own",
            "skip": "left out",
        },
        "delimiter": {
            "semicolon": "semicolon",
            "tab": "tab",
            "comma": "comma",
        },
        "wins": {
            "base": "the base stays",
            "file": "the file wins",
        },
        "reject": {
            "no_phone": "no number",
            "letters": "letters in a number",
            "too_short": "number too short",
            "too_long": "too long",
            "no_country": "no such country code",
            "not_assigned": "no such area or operator",
            "premium": "paid service",
            "rounded": "rounded by a spreadsheet",
            "many_phones": "too many numbers",
            "email": "not an e-mail address",
            "timezone": "not a time zone",
            "priority": "no priority",
            "consent_purpose": "no purpose of calls",
            "consent_source": "a consent without its source",
            "consent_over": "a consent that ended before it began",
            "columns": "more cells than columns",
            "quote": "quotation mark not closed",
            "differs": "differs from the base",
            "nul": "a NUL character",
            "encoding": "unreadable letters",
            "number": "not a number",
            "date": "not a date",
            "choice": "none of the choices",
            "yes_no": "neither yes nor no",
            "range": "out of its range",
            "pattern": "not of the form asked for",
            "required": "a value is missing",
        },
        "mend": {
            "no_phone": "Write a number into the row, or leave the row out.",
            "letters": "Leave digits only; a comment goes into a column of its own.",
            "too_short": "Add the area code: ten digits after +7 or 8.",
            "too_long": "Look whether two values were run together; put several numbers apart with a comma.",
            "no_country": "Begin with + and the code of the country, as +7.",
            "not_assigned": "Look for a mistyped digit in the code.",
            "premium": "Ask for another number: calls to this one are billed to you.",
            "rounded": "The digits are lost: export anew with the column formatted as text.",
            "many_phones": "The first ten are kept.",
            "email": "Look for a missing @ or a space.",
            "timezone": "Write it as Europe/Moscow, +5 or MSK+2.",
            "priority": "Write a whole number from -999 to 999, the higher the sooner.",
            "consent_purpose": "Write to what calls: service, advertising, collection, survey or any.",
            "consent_source": "Write where the person has said so: a form, a contract, a call.",
            "consent_over": "Look at the two days; without a first day the consent begins today.",
            "columns": "Look for a delimiter inside of a value: such a value needs quotation marks.",
            "quote": "Close the quotation mark, or write it twice inside of a value.",
            "differs": "Nothing, or load the file again with “the file wins”.",
            "nul": "Save the file anew; it was damaged on its way.",
            "encoding": "Choose another encoding above, or save the file as UTF-8.",
            "number": "Leave the number only; the text is kept until then.",
            "date": "Write it as 31.01.2026; the text is kept until then.",
            "choice": "Write one of the choices, or add this one to the field.",
            "yes_no": "Write yes or no.",
            "range": "Look at the limits of the field.",
            "pattern": "Look at the form that the field asks for.",
            "required": "Fill it in; the person is loaded all the same.",
        },
        "token_scope": {
            "all": "all that its user may",
            "hooks": "hooks of a dialplan, nothing else",
        },
        "role": {
            "operator": "operator",
            "quality": "quality control",
            "analyst": "analyst",
            "supervisor": "supervisor",
            "administrator": "administrator",
        },
        "moment": {
            "created": "The call was written down",
            "sent": "Asterisk has accepted the call",
            "ringing": "The phone rings",
            "answered": "Answered",
            "screened": "Checked for a machine",
            "queued": "Waits in the queue",
            "assigned": "An agent is chosen",
            "connected": "Connected with the agent",
            "hung_up": "The line is free",
            "ended": "The call is closed",
            "disposed": "The disposition is saved",
        },
        "hung_up_by": {
            "customer": "the customer",
            "agent": "the agent",
            "server": "the server",
        },
        "purpose": {
            "service": "service",
            "advertising": "advertising",
            "collection": "debt collection",
            "survey": "survey",
            "any": "any purpose",
        },
        "weekday": {
            "mon": "Monday",
            "tue": "Tuesday",
            "wed": "Wednesday",
            "thu": "Thursday",
            "fri": "Friday",
            "sat": "Saturday",
            "sun": "Sunday",
        },
        "day": {
            "working": "working day",
            "day_off": "day off",
            "holiday": "holiday",
        },
        "clock": {
            "answer": "from the answer",
            "greeting_end": "from the end of the greeting",
        },
        **QUALITY_WORDS,
        **QUEUE_WORDS,
        **FLOW_WORDS,
        **SCRIPT_WORDS,
        **SEGMENT_WORDS,
        **TALK_WORDS,
        **PEOPLE_WORDS,
        "pause": {
            "login": "after log-in",
            "wrap_up_over": "the disposition is owed",
            "phone_returned": "the phone is back",
        },
    }
)

#: Why the pace is what it is: sentences over the numbers of the decision.
PACE: Mapping[str, str] = MappingProxyType(
    {
        "by_hand": mark("Agents start the calls themselves."),
        "no_agents": mark("No call is placed: no agent of this campaign is logged in."),
        "no_ready_agents": mark("No call is placed: no agent is ready ({in_air} in the air)."),
        "enough_in_air": mark("Enough is in the air: {in_air} for {ready} ready (ratio {ratio})."),
        "no_lines": mark("No call is placed: the trunks have no free channel ({in_air} in the air)."),
        "trunk_bad": mark("No call is placed: the carrier fails all calls; one now and then tries it."),
        "spend": mark("No call is placed: the trunk has spent its money of today."),
        "no_rate": mark("No call is placed: money is capped, and the trunk has no tariff for these numbers."),
        "tenant_spend": mark("No call is placed: all money of today is spent."),
        "tenant_channels": mark("No call is placed: as many calls are on the lines as there may be at once."),
        "tenant_rate": mark("No call is placed: no more calls may be placed in this second."),
        "not_running": mark("No call is placed: the campaign was paused just now."),
        "mode_forbidden": mark("No call is placed: the policy forbids this mode of dialling."),
        "no_leads": mark("No call is placed: no number may be called now, by hours or retry time."),
        "agents_free": mark("{dial} placed: {ready} ready, {in_air} in the air, ratio {ratio}."),
        "lines_free": mark("{dial} placed: {lines_in_use} of {lines} lines of the campaign were in use."),
        "lines_in_use": mark("No call is placed: all {lines} lines of the campaign are in use."),
        "within_budget": mark(
            "{dial} placed: {ready} of {agents} agents ready, {in_air} calls in the air of which "
            "{expected_answers} will be answered; the risk that one more is abandoned is {price} %, allowed "
            "are {allowed} %."
        ),
        "free_agents": mark(
            "{dial} placed, one for each free agent: one more would risk {price} %, allowed are {allowed} %."
        ),
        "price_over": mark(
            "No call is placed: one more would be abandoned with a risk of {price} %, allowed are "
            "{allowed} % ({ready} of {agents} agents ready, {in_air} calls in the air of which "
            "{expected_answers} will be answered)."
        ),
        "taken_back": mark(
            "Ringing calls taken back: {taken_back}; no agent would have been in time for their answer."
        ),
        "others_turn": mark(
            "No call is placed: another campaign of the same agents has less than its share of them, and its "
            "turn comes first ({ready} of {agents} agents ready, {in_air} calls in the air)."
        ),
        "budget_spent": mark(
            "The limit of abandoned calls is reached ({abandoned} of {live}): one call for each free agent "
            "until the share has fallen."
        ),
    }
)


#: What the sentences name.
_NAMES: Final = (
    "ready", "agents", "in_air", "expected_answers", "price", "allowed", "taken_back", "abandoned", "live",
    "lines", "lines_in_use",
)  # fmt: skip


def word(locale: str, kind: str, name: str | None) -> str:
    """The word of a state or the like; what has none is shown as it is."""
    if name is None:
        return ""
    text = WORDS[kind].get(name)
    return str(translator(locale).pgettext(kind, text)) if text else name


def pace(locale: str, decision: Pace | None) -> str:
    """Why the pace is what it is, in words."""
    texts = translator(locale)
    if decision is None:
        return texts.gettext(mark("Nothing was decided yet."))
    sentence = PACE.get(decision.why)
    if sentence is None:
        return decision.why
    values = {**dict.fromkeys(_NAMES, 0.0), "ratio": 1, **decision.inputs, "dial": decision.dial}
    values |= {name: round(100 * values[name], 1) for name in ("price", "allowed")}
    values["expected_answers"] = round(values["expected_answers"], 1)
    shown = {
        name: f"{value:g}".replace(".", "," if locale == "ru" else ".") for name, value in values.items()
    }
    return texts.gettext(sentence).format(**shown)
