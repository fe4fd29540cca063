"""Looks at what agents' browsers need to be phones: SIP over WebSocket, and ports for their voice."""

from __future__ import annotations

import ipaddress
import re
from uuid import uuid4

import aiohttp

from dialer.asterisk.ami import AmiLink
from dialer.asterisk.browsers import REALM, endpoint_of
from dialer.check.model import Finding, Findings, fail, note, ok, warn
from dialer.ports import own_address
from dialer.settings import Settings

#: Asterisk's answer to a WebSocket, and to a request there.
ANSWER_S = 5.0
#: Ports of one talk of an agent: two for each side.
PORTS = 4
#: Fewer talks at once are no contact centre.
FEW_TALKS = 10
_PORTS = re.compile(r"Port start:\s*(\d+)\s+Port end:\s*(\d+)")
_ICE = re.compile(r"ICE support:\s*(\w+)")


async def look(settings: Settings, link: AmiLink) -> Findings:
    """A registration by WebSocket, which is asked for its secret; the range of ports. Raises
    AsteriskUnavailable, ActionFailed."""
    yield judge_answer(settings, await _answer(settings.phone_url))
    yield judge_media(settings, await link.command("rtp show settings"))
    if settings.asterisk == "managed":
        yield judge_address(settings, own_address())


async def _answer(url: str) -> str:
    """The first line of what Asterisk says to a registration without a secret, or what hinders it."""
    user, mark = endpoint_of(0), uuid4().hex
    request = "\r\n".join(
        (
            f"REGISTER sip:{REALM} SIP/2.0",
            f"Via: SIP/2.0/WS check.invalid;branch=z9hG4bK{mark}",
            "Max-Forwards: 70",
            f"From: <sip:{user}@{REALM}>;tag={mark[:8]}",
            f"To: <sip:{user}@{REALM}>",
            f"Call-ID: {mark}",
            "CSeq: 1 REGISTER",
            f"Contact: <sip:{user}@check.invalid;transport=ws>",
            "Content-Length: 0",
            "",
            "",
        )
    )
    timeout = aiohttp.ClientTimeout(total=ANSWER_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as http,
            http.ws_connect(url, protocols=("sip",)) as line,
        ):
            await line.send_str(request)
            told = await line.receive(timeout=ANSWER_S)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return str(error) or type(error).__name__
    if told.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
        return "it was closed"
    data = told.data if isinstance(told.data, str) else told.data.decode(errors="replace")
    return str(data).partition("\r\n")[0]


def judge_answer(settings: Settings, answer: str) -> Finding:
    """Whether browsers can register: Asterisk asks who is nobody for a secret, or refuses it."""
    if answer.startswith("SIP/2.0 4"):
        return ok("browser phones", f"registered by {settings.phone_url}")
    found = f"no SIP at {settings.phone_url}: {answer}"
    if settings.asterisk == "managed":
        return fail("browser phones", found, "read the log of Asterisk in the data folder")
    return warn(
        "browser phones",
        found,
        "agents' browsers cannot be phones: see docs/how-to/browser-phone.md, or give all agents SIP phones",
    )


def judge_media(settings: Settings, told: str) -> Finding:
    """Whether the ports for voice are those of the settings, enough of them, and ICE is on."""
    name, ports, ice = "media", _PORTS.search(told), _ICE.search(told)
    if ports is None or ice is None:
        return warn(name, "Asterisk does not say its ports for voice", "load res_rtp_asterisk.so")
    first, last = int(ports[1]), int(ports[2])
    talks = (last - first + 1) // PORTS
    found = f"UDP ports {first} to {last}, {talks} talks at once"
    if ice[1] != "Yes":
        return warn(name, f"{found}; no ICE, so browsers hear nothing", "write icesupport=yes into rtp.conf")
    if settings.asterisk == "managed" and (first, last) != (settings.rtp_port_from, settings.rtp_port_to):
        wanted = f"{settings.rtp_port_from} to {settings.rtp_port_to}"
        return warn(name, f"{found}; the settings say {wanted}", "restart the server between two shifts")
    if talks < FEW_TALKS:
        return warn(name, found, "set DOZVON_RTP_PORT_TO further from DOZVON_RTP_PORT_FROM")
    return ok(name, found)


def judge_address(settings: Settings, own: str) -> Finding:
    """Where voice is asked for, and whether who is elsewhere can send it there."""
    name, outside = "voice address", settings.external_address
    if outside == own:
        return note(
            name, f"{own} is this machine's own", "unset DOZVON_EXTERNAL_ADDRESS: nothing is translated"
        )
    if outside:
        return ok(name, f"{outside} for who is outside, {own} for {settings.local_networks}")
    if not ipaddress.ip_address(own).is_private:
        return ok(name, own)
    if settings.turn_url:
        return ok(name, f"{own}; who is elsewhere comes by {settings.turn_url}")
    found = f"{own}: browsers of this network only"
    mend = "for agents elsewhere set DOZVON_EXTERNAL_ADDRESS to the address outside, or a TURN server"
    return note(name, found, mend)
