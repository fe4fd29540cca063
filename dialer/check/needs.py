"""What the server needs of an Asterisk: actions, modules, the dialplan. One place; the tests hold it against
`asterisk_conf/` and the engine."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

import asterisk_conf

#: What the engine asks of the manager interface.
ENGINE_ACTIONS: Final = frozenset(
    {
        "ControlPlayback",
        "CoreShowChannels",
        "CoreStatus",
        "DBDel",
        "DBDelTree",
        "DBPut",
        "Getvar",
        "Hangup",
        "MixMonitor",
        "MixMonitorMute",
        "Originate",
        "PJSIPQualify",
        "PJSIPShowContacts",
        "PJSIPShowEndpoint",
        "Ping",
        "Redirect",
        "Setvar",
    }
)
#: What `dozvon check` asks besides.
CHECK_ACTIONS: Final = frozenset(
    {
        "Command",
        "CoreSettings",
        "PJSIPShowEndpoints",
        "ShowDialPlan",
    }
)
#: Classes of events that the engine reads.
EVENT_CLASSES: Final = frozenset({"system", "call", "user"})
#: Events that the filter keeps back: most of the bytes, none of the news.
FILTERED: Final = frozenset({"VarSet", "Newexten"})

#: Without one of these calls do not work; each with what it is for.
MODULES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "app_amd.so": "machine detection",
        "app_bridgewait.so": "agents who wait",
        "app_chanspy.so": "supervisors who listen",
        "app_dial.so": "callers who are put through",
        "app_echo.so": "the check of a browser's sound",
        "app_exec.so": "automatic calls",
        "app_waitforsilence.so": "messages for machines",
        "app_mixmonitor.so": "recordings",
        "app_playback.so": "messages",
        "app_senddtmf.so": "keys that agents press",
        "app_stack.so": "callers who are put through",
        "app_userevent.so": "this check",
        "bridge_holding.so": "agents who wait",
        "bridge_simple.so": "talks",
        "chan_pjsip.so": "SIP",
        "format_wav.so": "messages and recordings",
        "func_channel.so": "agents who wait",
        "pbx_config.so": "the dialplan",
        "res_agi.so": "the way from the dialplan to the server",
        "res_musiconhold.so": "agents and customers who wait",
        "res_pjsip.so": "SIP",
        "res_pjsip_sdp_rtp.so": "voice",
        "res_pjsip_session.so": "SIP",
        "res_rtp_asterisk.so": "voice",
    }
)
#: Without one of these something is lost; each with what.
USEFUL_MODULES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "app_confbridge.so": "conferences of agents",
        "bridge_softmix.so": "conferences of agents",
        "codec_alaw.so": "G.711 A-law, which Russian carriers speak",
        "res_http_websocket.so": "phones in the browser",
        "res_pjsip_outbound_registration.so": "carriers that want a registration",
        "res_pjsip_registrar.so": "agents' phones that register",
        "res_pjsip_rfc3326.so": "the carriers' causes of calls that failed",
        "res_pjsip_transport_websocket.so": "phones in the browser",
        "res_sorcery_astdb.so": "phones in the browser",
        "func_volume.so": "agents who mute themselves",
        "res_srtp.so": "phones in the browser",
    }
)
#: With one of these something goes wrong; each with what.
HARMFUL_MODULES: Final[Mapping[str, str]] = MappingProxyType(
    {"bridge_native_rtp.so": "a customer may hear nothing once a supervisor listens or an agent mutes"}
)

#: The contexts of extensions_dozvon.conf.
DIALPLAN_FILE: Final = "extensions_dozvon.conf"

Step = tuple[str, str]

_SECTION = re.compile(r"\[([^]]+)\]")
_STEP = re.compile(r"(?:exten *=> *([^,]+),1|same *=> *n(?:\([^)]*\))?),(\w+)\((.*)\)")


def dialplan(folder: Path = asterisk_conf.FOLDER) -> dict[str, list[Step]]:
    """The contexts of the dialplan that this version comes with: (application, arguments) in order, the
    extensions by their names."""
    found: dict[str, dict[str, list[Step]]] = {}
    extensions: dict[str, list[Step]] = {}
    steps: list[Step] = []
    for line in (folder / DIALPLAN_FILE).read_text(encoding="utf-8").splitlines():
        if section := _SECTION.match(line):
            extensions = found[section[1]] = {}
        elif step := _STEP.fullmatch(line.strip()):
            if step[1]:
                steps = extensions[step[1]] = []
            steps.append((step[2], step[3]))
    return {
        name: [step for _, each in sorted(extensions.items()) for step in each]
        for name, extensions in found.items()
    }


def differing(wanted: Mapping[str, Sequence[Step]], has: Mapping[str, Sequence[Step]]) -> list[str]:
    """Contexts that Asterisk has in another form than this version's."""

    def plain(steps: Iterable[Step]) -> list[Step]:
        return [(application.lower(), arguments) for application, arguments in steps]

    return [name for name, steps in wanted.items() if name in has and plain(steps) != plain(has[name])]
