"""The generated part of a managed Asterisk's configuration: ports, secrets, agents' phones, trunks.

Pure: values in, texts of files out. The fixed part is `asterisk_conf/*.conf`, which includes these files from
`generated/`. A value that Asterisk would read as more than a value is refused before anything is written.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dialer.asterisk.browsers import ENDPOINT as BROWSER
from dialer.asterisk.browsers import REALM
from dialer.errors import Invalid, UnsafeValue
from dialer.names import HOST, NAME
from dialer.ports import own_address
from dialer.settings import Settings

#: Codecs that a trunk may be given: what modules.conf loads.
CODECS = ("alaw", "ulaw", "g722", "gsm", "opus")

#: Codecs of browsers.
BROWSER_CODECS = ("alaw", "opus")
#: A page is asked as phones are, and may answer later, seconds: on a busy machine or a slow network the voice
#: goes on all the same. A page that is gone is known by its connection (see `web/phone.py`).
BROWSER_ANSWERS_S = "8.0"

#: Events which tell the engine nothing, by the beginnings of their names: each one said costs Asterisk a
#: write and every reader a look, and us a read. asterisk_conf/external/manager_dozvon.conf has the same; what
#: of it a managed Asterisk need not even compose stands in asterisk_conf/stasis.conf.
UNHEARD = (
    *("VarSet", "Newexten", "RTCPSent", "RTCPReceived", "NewAccountCode", "DTMFBegin", "DTMFEnd"),
    *("NewCallerid", "NewConnectedLine", "BridgeCreate", "BridgeDestroy", "PeerStatus"),
    *("MusicOnHoldStart", "MusicOnHoldStop", "AGIExecStart", "AGIExecEnd", "DeviceStateChange"),
)
#: A phone that waits is sent a packet of comfort noise after two seconds without voice, and no stream of
#: silence: that costs Asterisk as much as a talk. It must hear something: it might take the line for dead,
#: and a firewall close it. Browsers are left out, for they judge their connection by what comes.
QUIET = {"set_var": "DOZVON_WAIT=n", "rtp_keepalive": "2"}
_HEAD = "; Written by the server at each change; what you change here is lost.\n"
_HA1 = re.compile(r"[0-9a-f]{32}")
#: A line break or a comment ends a value; the rest is what a reader of the file cannot see.
_UNSAFE = re.compile(r"[\x00-\x1f\x7f;\u0085\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class AgentPhone:
    """The phone of an agent, as Asterisk must know it."""

    #: Name of its PJSIP endpoint, which is its SIP user name too.
    endpoint: str
    #: MD5(endpoint:realm:password), lower-case hex: the password itself is not kept.
    ha1: str = field(repr=False)
    #: The realm that is in `ha1`: to change it is to change every secret.
    realm: str = REALM


@dataclass(frozen=True, slots=True)
class TrunkLine:
    """A way out to the telephone network, as Asterisk must know it."""

    #: Name of its PJSIP endpoint.
    endpoint: str
    #: Name or address of the carrier's SIP server.
    host: str
    #: Its UDP port.
    port: int = 5060
    #: User and secret by which the carrier knows us; None where it goes by our address.
    user: str | None = None
    secret: str | None = field(default=None, repr=False)
    #: Codecs offered, the best first; of CODECS.
    codecs: tuple[str, ...] = ("alaw",)
    #: Calls at once. Asterisk only shows the trunk as busy beyond it; the engine does not dial.
    max_channels: int = 30
    #: Register at the carrier, which then knows where to send calls that come in.
    register: bool = False


@dataclass(frozen=True, slots=True)
class Nat:
    """Where somebody between translates the machine's address into another one."""

    #: The address that those outside are told, for SIP and for voice.
    outside: str
    #: The machine's own, by which it goes out.
    own: str
    #: Networks whose phones and carriers are told the own one (10.0.0.0/8).
    inside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ManagedAsterisk:
    """Ports and secrets of one Asterisk of ours."""

    #: TCP port of the manager interface, on loopback.
    ami_port: int
    ami_user: str
    ami_secret: str = field(repr=False)
    #: Address and UDP port of SIP.
    sip_host: str
    sip_port: int
    #: TCP port of WebSocket SIP, on loopback.
    http_port: int
    #: First and last UDP port for voice.
    rtp_port_from: int
    rtp_port_to: int
    #: The codec that browsers are offered first, of BROWSER_CODECS.
    browser_codec: str = "alaw"
    #: The address by which it is reached from outside, and its own; None: nobody translates addresses.
    nat: Nat | None = None

    @classmethod
    def of(cls, settings: Settings) -> ManagedAsterisk:
        """What the server's settings say of it; makes the manager secret on first use."""
        outside = settings.external_address
        return cls(
            ami_port=settings.ami_port,
            ami_user=settings.ami_user,
            ami_secret=settings.ami_password(),
            sip_host=settings.sip_host,
            sip_port=settings.sip_port,
            http_port=settings.asterisk_http_port,
            rtp_port_from=settings.rtp_port_from,
            rtp_port_to=settings.rtp_port_to,
            browser_codec=settings.browser_codec,
            nat=Nat(outside, own_address(outside), tuple(settings.local_networks.split()))
            if outside
            else None,
        )


def ha1(user: str, password: str, realm: str = REALM) -> str:
    """MD5(user:realm:password), by which a phone proves its password (RFC 2617, 3.2.2.2)."""
    return hashlib.md5(f"{user}:{realm}:{password}".encode(), usedforsecurity=False).hexdigest()


def render_managed(
    managed: ManagedAsterisk,
    agents: Iterable[AgentPhone],
    trunks: Iterable[TrunkLine],
    browsers: Iterable[str] = (),
) -> dict[str, str]:
    """Texts of `generated/*.conf` by file name. `browsers`: endpoints of people's browsers.

    Raises UnsafeValue for a character that Asterisk would read as more than a value, Invalid for a value that
    is none (a bad name, port or codec, two things of one name); each names the field.
    """
    return {
        "manager.conf": render_manager(managed),
        "http.conf": f"{_HEAD}bindaddr = 127.0.0.1\nbindport = {_port('http_port', managed.http_port)}\n",
        "rtp.conf": _render_rtp(managed),
        "pjsip.conf": render_pjsip(managed, agents, trunks, browsers),
    }


def render_manager(managed: ManagedAsterisk) -> str:
    """The manager interface's port and its one user."""
    user = _name("ami_user", managed.ami_user)
    if user == "general":
        raise Invalid(field="ami_user", reason="general is the name of a section of Asterisk's own")
    secret = _safe("ami_secret", managed.ami_secret)
    # The rights are the least that do: read `system` (contacts, reloads), `call` (channels, bridges, devices)
    # and `user` (UserEvent); write what the engine's actions ask for. The filter is in the old form, which
    # Asterisk 20 and 22 both know; its events are most of the bytes and tell the engine nothing. Where
    # `disabledevents` is known, nobody is told of them.
    return f"""{_HEAD}bindaddr = 127.0.0.1
port = {_port("ami_port", managed.ami_port)}
disabledevents = {",".join(UNHEARD)}

[{user}]
secret = {secret}
deny = 0.0.0.0/0.0.0.0
permit = 127.0.0.1/255.255.255.255
read = system,call,user
write = system,call,originate,command,reporting
; A reader that is late by so many ms is dropped, and asks for everything anew.
writetimeout = 5000
eventfilter = !^Event: ({"|".join(UNHEARD)})
"""


def render_pjsip(
    managed: ManagedAsterisk,
    agents: Iterable[AgentPhone],
    trunks: Iterable[TrunkLine],
    browsers: Iterable[str] = (),
) -> str:
    """Transports, trunks, phones and browsers."""
    host = _address("sip_host", managed.sip_host)
    bind = f"[{host}]" if ":" in host else host
    parts = [
        _HEAD,
        _section(
            "dozvon-udp",
            "",
            {
                "type": "transport",
                "protocol": "udp",
                "bind": f"{bind}:{_port('sip_port', managed.sip_port)}",
                **_translated(managed.nat),
            },
        ),
        # Served by the HTTP server, whose port it has; the address here is only a form.
        _section("dozvon-ws", "", {"type": "transport", "protocol": "ws", "bind": bind}),
    ]
    # Voice keeps to the address of SIP, so that a server on loopback opens nothing to the outside. Browsers
    # are left out: they do not speak to 127.0.0.1 without a flag, and their voice is encrypted.
    anywhere = ipaddress.ip_address(host).is_unspecified
    media = {} if anywhere else {"media_address": host, "bind_rtp_to_media_address": "yes"}
    names: set[str] = set()
    for trunk in trunks:
        parts.append(_render_trunk(trunk, media))
        _once(names, trunk.endpoint)
    for agent in agents:
        parts.append(_render_agent(agent, media))
        _once(names, agent.endpoint)
    parts += [render_browser(endpoint, managed.browser_codec) for endpoint in browsers]
    return "\n".join(parts)


def _render_rtp(managed: ManagedAsterisk) -> str:
    first = _port("rtp_port_from", managed.rtp_port_from)
    last = _port("rtp_port_to", managed.rtp_port_to)
    if last - first < 3:
        raise Invalid(field="rtp_port_to", reason=f"must leave room for a talk (4 ports) after {first}")
    return f"{_HEAD}rtpstart = {first}\nrtpend = {last}\n{_candidates(managed.nat)}"


def _translated(nat: Nat | None) -> dict[str, str]:
    """What a transport of SIP tells those outside."""
    if nat is None:
        return {}
    outside = _address("external_address", nat.outside)
    inside = [str(ipaddress.ip_network(one)) for one in nat.inside]
    told = {"external_media_address": outside, "external_signaling_address": outside}
    return told | ({"local_net": "\nlocal_net = ".join(inside)} if inside else {})


def _candidates(nat: Nat | None) -> str:
    """What browsers are told of the way to us: both addresses, for those inside too."""
    if nat is None:
        return ""
    own, outside = _address("own address", nat.own), _address("external_address", nat.outside)
    return f"\n[ice_host_candidates]\n{own} => {outside},include_local_address\n"


def _render_trunk(trunk: TrunkLine, media: Mapping[str, str]) -> str:
    name = _name("trunk endpoint", trunk.endpoint)
    host = _host("trunk host", trunk.host)
    uri = f"sip:[{host}]" if ":" in host else f"sip:{host}"
    uri += f":{_port('trunk port', trunk.port)}"
    endpoint = {
        "transport": "dozvon-udp",
        "aors": name,
        "allow": _codecs(trunk.codecs),
        "device_state_busy_at": str(_count("trunk max_channels", trunk.max_channels)),
        **media,
    }
    parts = [_section(name, "dozvon-trunk-aor", {"contact": uri})]
    if trunk.user:
        user = _safe("trunk user", trunk.user)
        auth = {"type": "auth", "auth_type": "userpass", "username": user}
        auth["password"] = _safe("trunk secret", trunk.secret or "")
        parts.append(_section(f"{name}-auth", "", auth))
        endpoint["outbound_auth"] = f"{name}-auth"
        endpoint["from_user"] = _uri_user("trunk user", user)
        endpoint["from_domain"] = host
        if trunk.register:
            registration = {
                "type": "registration",
                "transport": "dozvon-udp",
                "outbound_auth": f"{name}-auth",
                "server_uri": uri,
                "client_uri": uri.replace("sip:", f"sip:{_uri_user('trunk user', user)}@", 1),
                "contact_user": name,
                "retry_interval": "30",
            }
            parts.append(_section(f"{name}-registration", "", registration))
    parts.append(_section(name, "dozvon-trunk", endpoint))
    parts.append(_section(f"{name}-identify", "", {"type": "identify", "endpoint": name, "match": host}))
    return "\n".join(parts)


def _render_agent(agent: AgentPhone, media: Mapping[str, str]) -> str:
    name = _name("agent endpoint", agent.endpoint)
    if not _HA1.fullmatch(agent.ha1):
        raise Invalid(field="agent ha1", reason="must be 32 lower-case hexadecimal digits")
    realm = _name("agent realm", agent.realm)
    return "\n".join(
        (
            _section(name, "dozvon-agent-aor", {}),
            _section(
                f"{name}-auth",
                "dozvon-agent-auth",
                {"username": name, "realm": realm, "md5_cred": agent.ha1},
            ),
            _section(name, "dozvon-agent", {"aors": name, "auth": f"{name}-auth", **QUIET, **media}),
        )
    )


def render_browser(endpoint: str, codec: str = "alaw") -> str:
    """The sections of a browser, which is offered `codec` first. Its secret is none of the file: see
    `browsers.secret_of`."""
    if not BROWSER.fullmatch(endpoint):
        raise Invalid(field="browser endpoint", reason="must be the endpoint of a browser")
    if codec not in BROWSER_CODECS:
        raise Invalid(field="browser codec", reason=f"must be one of {', '.join(BROWSER_CODECS)}")
    values = {"aors": endpoint, "auth": endpoint}
    if codec != BROWSER_CODECS[0]:
        others = (one for one in BROWSER_CODECS if one != codec)
        values |= {"disallow": "all", "allow": ",".join((codec, *others))}
    return "\n".join(
        (
            _section(endpoint, "dozvon-agent-aor", {"qualify_timeout": BROWSER_ANSWERS_S}),
            _section(endpoint, "dozvon-agent-webrtc", values),
        )
    )


def _section(name: str, template: str, values: Mapping[str, str]) -> str:
    head = f"[{name}]({template})" if template else f"[{name}]"
    return "\n".join([head, *(f"{key} = {value}" for key, value in values.items()), ""])


# -- one value --------------------------------------------------------------------------------------------


def _safe(what: str, value: str) -> str:
    """`value` as it is, when Asterisk reads exactly it. Raises UnsafeValue, Invalid."""
    if found := _UNSAFE.search(value):
        raise UnsafeValue(field=what, character=repr(found[0]))
    # `key = >x` is read as `key => x`; blanks at the ends are cut off; `#include` begins a line.
    if value[:1] in (">", "#", "["):
        raise UnsafeValue(field=what, character=repr(value[0]))
    if value != value.strip():
        raise UnsafeValue(field=what, character="a blank at one end")
    if not 1 <= len(value) <= 128:
        raise Invalid(field=what, reason="must have 1 to 128 characters")
    return value


def _name(what: str, value: str) -> str:
    _safe(what, value)
    if not re.fullmatch(NAME, value):
        raise Invalid(
            field=what,
            reason="must be latin letters, digits, - _ . and begin with a letter or digit, 64 at most",
        )
    if value.startswith("dozvon-") or value in ("global", "system"):
        raise Invalid(field=what, reason=f"{value} is a name of the configuration's own")
    return value


def _host(what: str, value: str) -> str:
    _safe(what, value)
    try:
        return _plain_ip(value)
    except ValueError:
        if not re.fullmatch(HOST, value):
            raise Invalid(field=what, reason="must be a host's name or its IP address") from None
        return value


def _address(what: str, value: str) -> str:
    try:
        return _plain_ip(value)
    except ValueError:
        raise Invalid(field=what, reason="must be an IP address of this machine") from None


def _plain_ip(value: str) -> str:
    """The address in its usual form. Raises ValueError."""
    # Python takes anything at all behind a %, line ends too: the zone of a link-local address, which PJSIP
    # could not bind to anyway.
    if "%" in value:
        raise ValueError
    return str(ipaddress.ip_address(value))


def _uri_user(what: str, value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.+~*()!$&'=,-]+", value):
        raise Invalid(field=what, reason="must be a user name as it stands in a SIP address")
    return value


def _port(what: str, value: int) -> int:
    if not 1 <= value <= 65535:
        raise Invalid(field=what, reason="must be a port, 1 to 65535")
    return value


def _count(what: str, value: int) -> int:
    if value < 1:
        raise Invalid(field=what, reason="must be 1 or more")
    return value


def _codecs(values: Sequence[str]) -> str:
    wrong = [value for value in values if value not in CODECS]
    if wrong or not values:
        raise Invalid(field="trunk codecs", reason=f"must be one or more of {', '.join(CODECS)}")
    return ",".join(values)


def _once(names: set[str], name: str) -> None:
    # `a` with a secret makes `a-auth`: that name is taken with it.
    made = {name, f"{name}-auth", f"{name}-identify", f"{name}-registration"}
    if names & made:
        raise Invalid(field="endpoint", reason=f"{name} is the name of two trunks or phones")
    names |= made
