"""Hostile values in every field that reaches Asterisk, through the functions that write for it.

Whatever a field holds, one of two things happens: it is refused by an error of ours, or Asterisk reads
exactly the value that was meant, in exactly the action, section or command that was meant. What Asterisk
would read is told by `readers`, which knows nothing of our writers.

The fields: of an Originate the dialled number, the trunk's endpoint and format, its caller id, the
detector's settings, the message's file, the FastAGI address; of an agent's phone its endpoint; of
MixMonitor the file; of a hang-up the channel; of generated files every value of trunks, phones and
settings; of AGI the words that set a variable; of the API's own checks everything that ends in one of
these.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from pydantic import ValidationError

from dialer.agents.http import AgentIn
from dialer.asterisk.agi_codec import encode_command, variable_name
from dialer.asterisk.ami_framing import checked, variable
from dialer.asterisk.ami_session import PendingAction
from dialer.asterisk.config import AgentPhone, ManagedAsterisk, TrunkLine, render_managed
from dialer.bench.faults.hostile import texts
from dialer.bench.faults.hostile.block import Block
from dialer.bench.faults.hostile.readers import Directive, actions, sections, variables, words
from dialer.calls.model import Call
from dialer.calls.originating import originate
from dialer.calls.table import Line
from dialer.calls.terms import CallTerms
from dialer.clock import utc_now
from dialer.compliance.model import POLICIES, Hours, Timetable
from dialer.errors import DozvonError
from dialer.pacing.model import DialMode
from dialer.trunks.fields import TrunkIn
from dialer.trunks.model import Trunk, dial_string

ATTEMPT: Final = UUID("01890000-0000-7000-8000-000000000001")
#: What one input may be refused with.
REFUSED = (DozvonError, ValidationError)

_MANAGED: Final = ManagedAsterisk(
    ami_port=5038, ami_user="dozvon", ami_secret="secret-of-the-manager",  # noqa: S106
    sip_host="127.0.0.1", sip_port=5060, http_port=8088, rtp_port_from=10000, rtp_port_to=20000,
)  # fmt: skip


class Harm(Exception):
    """Asterisk would read something that was not meant."""


async def throw(block: Block) -> None:
    """A block of them: each kind in turn. It awaits nothing; panoramisk's actions ask for a loop."""
    each = block.size(4_000, 300)
    for kind, act in KINDS.items():
        for _ in range(each):
            try:
                act(block.dice)
            except REFUSED:
                pass  # refused is what should come of most of them
            except Harm as harm:
                block.harm(f"{kind}: {harm}")
            except Exception as error:
                block.harm(f"{kind}: {type(error).__name__}: {error}")
        block.took("manager", each)


# -- the manager ------------------------------------------------------------------------------------------


def on_the_wire(action: Mapping[str, str | Sequence[str]]) -> bytes:
    """The bytes of an action, as the link writes them."""
    return str(PendingAction(checked(action), is_list=False, timeout_s=1)).encode()


def same_action(action: Mapping[str, str | Sequence[str]], data: bytes) -> None:
    """Raise Harm unless Asterisk reads this action alone, with these headers and values."""
    found = actions(data)
    if len(found) != 1:
        raise Harm(f"{len(found)} actions in {data[:200]!r}")
    meant = sorted((key, each) for key, value in action.items() for each in _several(value))
    read = sorted(pair for pair in found[0].headers if pair[0] != "ActionID")
    # Asterisk passes over the blanks before a value; nothing of ours begins with one.
    if read != [(key, value.lstrip(" \t")) for key, value in meant] or found[0].keys.count("ActionID") != 1:
        raise Harm(f"read {read!r} for {meant!r}"[:300])


def _several(value: str | Sequence[str]) -> Sequence[str]:
    return [value] if isinstance(value, str) else value


def _trunk(dice: random.Random, **over: Any) -> Trunk:
    values: dict[str, Any] = {
        "id": 1, "name": "Carrier", "endpoint": "carrier", "caller_id": "+74951234567", "max_channels": 30,
        "max_cps": 5.0, "allowed_prefixes": ("+7",),
    }  # fmt: skip
    return Trunk(**values | over)


def an_originate(dice: random.Random) -> None:
    """The Originate of a customer's call."""
    field = dice.choice(("e164", "endpoint", "dial_format", "caller_id", "abandon_sound", "agi", "amd"))
    text = texts.hostile(
        dice,
        {"e164": "+79161234567", "endpoint": "carrier", "abandon_sound": "/var/sounds/1-2-ab"}.get(field, ""),
    )
    trunk = _trunk(dice, **({field: text} if field in ("endpoint", "dial_format", "caller_id") else {}))
    terms = CallTerms(
        tenant_id=1, campaign_id=1, mode=DialMode.PROGRESSIVE, ratio=1.0, priority=0,
        policy=POLICIES["default"],
        skill=None, ring_timeout_s=25, screens=field == "amd", amd={"max_words": 3,
        text: 1} if field == "amd" else {},
        record=True, wrap_up_limit_s=60, abandon_sound=text if field == "abandon_sound" else "/s/m",
        window=Timetable.alike(Hours.parse("09:00", "21:00")), trunks=(trunk,),
    )  # fmt: skip
    call = Call(ATTEMPT, 1, 1, screens=field == "amd", abandon_after_s=2, created_at=utc_now())
    line = Line(call, terms, text if field == "e164" else "+79161234567", 1, "main")
    agi = text if field == "agi" else "127.0.0.1:4573"
    action = originate(line, trunk, agi)
    data = on_the_wire(action)
    same_action(action, data)
    meant = [
        ("DOZVON_ATTEMPT", str(ATTEMPT)), ("DOZVON_AGI", agi), ("DOZVON_AMD", terms.amd_arguments),
        ("DOZVON_MESSAGE", terms.abandon_sound),
    ]  # fmt: skip
    read = [pair for header in actions(data)[0].of("Variable") for pair in variables(header)]
    if read != meant:
        raise Harm(f"variables {read!r} for {meant!r}"[:300])
    (channel,) = actions(data)[0].of("Channel")
    if any(mark in channel for mark in "&,|;${}()\"'\\ ") or channel.count("/") != 1:
        raise Harm(f"dials {channel!r}")


def an_action(dice: random.Random) -> None:
    """Any action of ours with a hostile value: a phone's Originate, MixMonitor, Hangup, a console command."""
    text = texts.hostile(dice, dice.choice(("agent-1", "/var/lib/x.wav", str(ATTEMPT), "module show")))
    name = dice.choice(("Originate", "MixMonitor", "Hangup", "Command", "PJSIPShowEndpoint", "Login"))
    key = {"MixMonitor": "File", "Command": "Command", "PJSIPShowEndpoint": "Endpoint", "Login": "Secret"}
    action = {"Action": name, key.get(name, "Channel"): text, "Async": "true"}
    if dice.random() < 0.1:
        action = {"Action": name, text: "x"}  # a header's name
    same_action(action, on_the_wire(action))


def a_variable(dice: random.Random) -> None:
    """A channel variable of an Originate: the value that Asterisk sets is the value that was meant."""
    value = texts.hostile(dice, dice.choice(("", "a", "1,2", 'say "x"', "C:\\x")))
    action = {"Action": "Originate", "Variable": [variable("DOZVON_X", value), variable("DOZVON_Y", "1")]}
    data = on_the_wire(action)
    same_action(action, data)
    read = [pair for header in actions(data)[0].of("Variable") for pair in variables(header)]
    if read != [("DOZVON_X", value), ("DOZVON_Y", "1")]:
        raise Harm(f"variables {read!r} for {value!r}"[:300])


# -- files -------------------------------------------------------------------------------------------------


def _shape(text: str, names: Mapping[str, str]) -> list[tuple[str, str, tuple[str, ...]]]:
    """Sections, templates and keys, with our own names in place of the given ones."""
    found = []
    for each in sections(text):
        head = each.name
        for name, ours in names.items():
            if head == name or head.removeprefix(name) in ("-auth", "-identify", "-registration"):
                head = ours + head.removeprefix(name)
                break
        found.append((head, each.template, tuple(key for key, _ in each.values)))
    return found


def a_file(dice: random.Random) -> None:
    """The generated files of a managed Asterisk, one value of them hostile."""
    place = dice.choice(
        (
            "endpoint",
            "host",
            "user",
            "secret",
            "codecs",
            "agent",
            "ha1",
            "realm",
            "ami_user",
            "ami_secret",
            "sip_host",
        )
    )
    good = {
        "endpoint": "carrier", "host": "sip.example.com", "user": "dozvon", "secret": "pass-word-1",
        "codecs": "alaw",
        "agent": "agent-1", "ha1": "0123456789abcdef" * 2, "realm": "dozvon", "ami_user": "dozvon",
        "ami_secret": "secret", "sip_host": "127.0.0.1",
    }  # fmt: skip
    values = good | {place: texts.hostile(dice, good[place])}
    if place in ("host", "sip_host") and dice.random() < 0.4:
        values[place] = dice.choice(("fe80::1%", "::1%", "2001:db8::", "127.0.0.1")) + texts.piece(dice)
    written = _files(values)
    plain = _files(good)
    names = {values["endpoint"]: "TRUNK", values["agent"]: "AGENT", values["ami_user"]: "USER"}
    usual = {good["endpoint"]: "TRUNK", good["agent"]: "AGENT", good["ami_user"]: "USER"}
    for name, text in written.items():
        try:
            shape = _shape(text, names)
        except (Directive, ValueError) as error:
            raise Harm(f"{name}, {place} {values[place]!r}: {error!r}") from None
        if shape != _shape(plain[name], usual):
            raise Harm(f"{name}: other sections by {place} {values[place]!r}")
    read = {(each.name, key): value for each in sections(written["pjsip.conf"]) for key, value in each.values}
    auth = f"{values['endpoint']}-auth"
    if (read[auth, "username"], read[auth, "password"]) != (values["user"], values["secret"]):
        raise Harm(f"credentials {values['user']!r} {values['secret']!r} are read as others")
    uri = read[values["endpoint"], "contact"]
    if any(mark in uri for mark in ' \t<>"%;,?&@') and values["host"] != good["host"]:
        raise Harm(f"the contact {uri!r} is no plain address")


def _files(values: Mapping[str, str]) -> dict[str, str]:
    line = TrunkLine(
        values["endpoint"], values["host"], 5061, values["user"], values["secret"],
        tuple(values["codecs"].split(",")), 30, register=True,
    )  # fmt: skip
    phone = AgentPhone(values["agent"], values["ha1"], values["realm"])
    managed = ManagedAsterisk(
        ami_port=_MANAGED.ami_port, ami_user=values["ami_user"], ami_secret=values["ami_secret"],
        sip_host=values["sip_host"], sip_port=_MANAGED.sip_port, http_port=_MANAGED.http_port,
        rtp_port_from=_MANAGED.rtp_port_from, rtp_port_to=_MANAGED.rtp_port_to,
    )  # fmt: skip
    return render_managed(managed, [phone], [line])


def a_taken_trunk(dice: random.Random) -> None:
    """What the API takes as a trunk can be written into the files and dialled through; else nobody's is."""
    own = dice.random() < 0.5
    wanted: dict[str, Any] = {"name": "Carrier", "caller_id": "+74951234567", "allowed_prefixes": ["+7"]}
    wanted |= (
        {"endpoint": "carrier"}
        if own
        else {"sip_host": "sip.example.com", "sip_user": "dozvon", "sip_secret": "pass-word-1"}
    )
    field = dice.choice([*wanted, "dial_format", "codecs"])
    text = texts.hostile(dice, {"sip_host": "10.0.0.1"}.get(field, ""))
    if field == "sip_host" and dice.random() < 0.5:
        text = "fe80::1%" + texts.piece(dice)
    wanted[field] = [text] if field in ("codecs", "allowed_prefixes") else text
    taken = TrunkIn.model_validate(wanted)
    endpoint = taken.endpoint or "trunk-1-1"
    try:
        if taken.sip_host is not None:
            secret = taken.sip_secret.get_secret_value() if taken.sip_secret else None
            line = TrunkLine(
                endpoint, taken.sip_host, taken.sip_port or 5060, taken.sip_user, secret, tuple(taken.codecs)
            )
            render_managed(_MANAGED, (), (line,))
        trunk = _trunk(dice, endpoint=endpoint, caller_id=taken.caller_id, dial_format=taken.dial_format)
        dial_string(trunk, "+79161234567")
        action = {"Action": "Originate", "CallerID": taken.caller_id}
        same_action(action, on_the_wire(action))
    except REFUSED as error:
        raise Harm(f"the API takes {field} {wanted[field]!r}, Asterisk cannot be given it: {error}") from None


def a_taken_agent(dice: random.Random) -> None:
    """What the API takes as an agent can be written into the files and called."""
    text = texts.hostile(dice, "agent-1")
    taken = AgentIn.model_validate({"user_id": 1, "name": "Anna", "endpoint": text})
    try:
        render_managed(_MANAGED, (AgentPhone(taken.endpoint, "0" * 32),), ())
    except REFUSED as error:
        # Names of the configuration's own are refused where the agent is made, not by this model.
        if not taken.endpoint.startswith("dozvon-") and taken.endpoint not in ("global", "system"):
            raise Harm(f"the API takes {taken.endpoint!r}, Asterisk cannot be given it: {error}") from None
    action = {"Action": "Originate", "Channel": f"PJSIP/{taken.endpoint}"}
    same_action(action, on_the_wire(action))


# -- AGI ---------------------------------------------------------------------------------------------------


def an_agi_command(dice: random.Random) -> None:
    """A command to the dialplan: the words that Asterisk takes are the words that were meant."""
    given = ("SET", "VARIABLE", "DOZVON_AGENT", texts.hostile(dice, dice.choice(("", str(ATTEMPT), "a b"))))
    if dice.random() < 0.2:
        given = ("SET", "VARIABLE", variable_name(texts.hostile(dice, "DOZVON_NEXT")), "bridge")
    data = encode_command(*given)
    if data.count(b"\n") != 1 or not data.endswith(b"\n"):
        raise Harm(f"more than a line: {data[:100]!r}")
    # A word that is empty stands as "" and is read as a word.
    if words(data) != [word.encode() for word in given]:
        raise Harm(f"read {words(data)!r} for {given!r}"[:300])


#: What is done in turn, under the name told with a harm.
KINDS: Final[Mapping[str, Callable[[random.Random], None]]] = {
    "originate": an_originate,
    "action": an_action,
    "variable": a_variable,
    "file": a_file,
    "taken trunk": a_taken_trunk,
    "taken agent": a_taken_agent,
    "AGI command": an_agi_command,
}
