"""An Asterisk on paper: AMI and FastAGI as the engine meets them, and no channel behind them.

What one machine cannot have for real (a thousand agents' phones, hundreds of calls a second) is played here:
each Originate is answered with the events that Asterisk 22 says for it, in its order, and each answered
customer asks by FastAGI as the dialplan does. The engine runs unchanged and as a process of its own; what it
costs is its own. Nothing is said of Asterisk by it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final

_BANNER: Final = b"Asterisk Call Manager/11.0.0\r\n"
_STARTED: Final = (("CoreStartupDate", "2026-01-01"), ("CoreStartupTime", "00:00:00"))
#: The last words of a FastAGI request, before its empty line.
_AGI: Final = (
    "agi_request: agi://127.0.0.1/customer\nagi_network: yes\nagi_network_script: customer\n"
    "agi_channel: PJSIP/carrier-1\nagi_language: ru\nagi_type: PJSIP\nagi_uniqueid: {id}\n"
    "agi_context: dozvon-customer\nagi_extension: s\nagi_priority: 2\nagi_enhanced: 0.0\nagi_arg_1: \n\n"
)


@dataclass(slots=True)
class _Channel:
    """A leg of an agent, or a customer."""

    id: str
    context: str
    agi: str = ""
    bridge: str = ""
    state: str = "Down"
    #: the other end of a talk
    partner: _Channel | None = None
    gone: bool = False


@dataclass(slots=True)
class Paper:
    """The server. Use it as a context.

    Customers ring for `ring_s`, then answer and talk for `talk_s`, or are busy.
    """

    ring_s: float
    talk_s: float
    busy: bool = False
    port: int = 0
    #: answered customers for whom the dialplan was told to do something else than to bridge
    dismissed: int = 0
    events: int = 0
    _channels: dict[str, _Channel] = field(default_factory=dict)
    _peers: set[asyncio.StreamWriter] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _timers: set[asyncio.TimerHandle] = field(default_factory=set)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _server: asyncio.Server | None = None

    async def __aenter__(self) -> Paper:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for timer in self._timers:
            timer.cancel()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for peer in self._peers:
            peer.close()

    # -- the manager ---------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_BANNER)
        try:
            while True:
                packet = await reader.readuntil(b"\r\n\r\n")
                lines = packet.decode().strip("\r\n").split("\r\n")
                action: dict[str, str] = {}
                for key, _, value in (line.partition(": ") for line in lines):
                    action[key] = f"{action[key]}\n{value}" if key in action else value
                self._do(writer, action)
        except (asyncio.IncompleteReadError, ConnectionError):
            self._peers.discard(writer)
            writer.close()

    def _do(self, writer: asyncio.StreamWriter, action: dict[str, str]) -> None:
        answer: tuple[tuple[str, str], ...] = ()
        name = action["Action"]
        of = tuple((key, value) for key, value in action.items() if key == "ActionID")
        if name == "CoreStatus":
            answer = _STARTED
        elif name in ("CoreShowChannels", "PJSIPShowEndpoint"):
            answer = (("EventList", "start"),)
        if name == "PJSIPShowContacts":  # what Asterisk says where no phone is registered
            _write(writer, ("Response", "Error"), *of, ("Message", "No Contacts found"))
            return
        _write(writer, ("Response", "Success"), *of, ("Message", "done"), *answer)
        match name:
            case "Login":
                self._peers.add(writer)
                _write(
                    writer, ("Event", "FullyBooted"), ("Privilege", "system,all"), ("Status", "Fully Booted")
                )
            case "CoreShowChannels" | "PJSIPShowEndpoint":
                if name == "CoreShowChannels":
                    for channel in self._channels.values():
                        _write(
                            writer,
                            ("Event", "CoreShowChannel"),
                            *of,
                            ("Uniqueid", channel.id),
                            ("ChannelStateDesc", channel.state),
                            ("BridgeId", channel.bridge),
                            ("Context", channel.context),
                        )
                end = "CoreShowChannelsComplete" if name == "CoreShowChannels" else "EndpointDetailComplete"
                _write(writer, ("Event", end), *of, ("EventList", "Complete"))
            case "Originate":
                self._originate(action)
            case "Hangup":
                ended = self._channels.get(action["Channel"])
                if ended is not None:
                    self._say("SoftHangupRequest", ended)
                    self._end(ended, 16, "")

    def _say(self, name: str, channel: _Channel, *more: tuple[str, str]) -> None:
        self.events += 1
        fields = (
            ("Event", name),
            ("Privilege", "call,all"),
            ("Channel", f"PJSIP/x-{channel.id[-8:]}"),
            ("ChannelState", "6" if channel.state == "Up" else "0"),
            ("ChannelStateDesc", channel.state),
            ("CallerIDNum", "+74951234567"),
            ("CallerIDName", "<unknown>"),
            ("ConnectedLineNum", "<unknown>"),
            ("Language", "ru"),
            ("AccountCode", ""),
            ("Context", channel.context),
            ("Exten", "s"),
            ("Priority", "1"),
            ("Uniqueid", channel.id),
            ("Linkedid", channel.id),
            *more,
        )
        for peer in self._peers:
            _write(peer, *fields)

    # -- calls ---------------------------------------------------------------------------------------------

    def _originate(self, action: dict[str, str]) -> None:
        said = dict(
            item.partition("=")[::2] for item in action.get("Variable", "").split("\n") if "=" in item
        )
        channel = _Channel(action["ChannelId"], action["Context"], said.get("DOZVON_AGI", ""))
        self._channels[channel.id] = channel
        self._say("Newchannel", channel)
        asked = ("ActionID", action["ActionID"])
        if channel.context == "dozvon-agent":
            self._later(0.01, self._phone_up, channel, asked)
            return
        self._say("DialBegin", channel, ("DestUniqueid", channel.id))
        self._later(0.005, self._rings, channel)
        self._later(0.005 + self.ring_s, self._refuses if self.busy else self._answers, channel, asked)

    def _rings(self, channel: _Channel) -> None:
        if not channel.gone:
            channel.state = "Ringing"
            self._say("Newstate", channel)
            self._say("DialState", channel, ("DestUniqueid", channel.id), ("DialStatus", "RINGING"))

    def _refuses(self, channel: _Channel, asked: tuple[str, str]) -> None:
        if not channel.gone:
            self._say("DialEnd", channel, ("DestUniqueid", channel.id), ("DialStatus", "BUSY"))
            self._end(channel, 17, "486")
            self._say("OriginateResponse", channel, asked, ("Response", "Failure"), ("Reason", "0"))

    def _answers(self, channel: _Channel, asked: tuple[str, str]) -> None:
        if channel.gone:
            return
        channel.state = "Up"
        self._say("Newstate", channel)
        self._say("DialEnd", channel, ("DestUniqueid", channel.id), ("DialStatus", "ANSWER"))
        self._say("OriginateResponse", channel, asked, ("Response", "Success"), ("Reason", "4"))
        task = asyncio.create_task(self._dialplan(channel))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _phone_up(self, leg: _Channel, asked: tuple[str, str]) -> None:
        leg.state = "Up"
        self._say("Newstate", leg)
        self._say("OriginateResponse", leg, asked, ("Response", "Success"), ("Reason", "4"))
        self._waits(leg)

    def _waits(self, leg: _Channel) -> None:
        leg.partner, leg.bridge = None, f"wait-{leg.id}"
        self._say("BridgeEnter", leg, ("BridgeUniqueid", leg.bridge))

    async def _dialplan(self, channel: _Channel) -> None:
        """What extensions_dozvon.conf does with a customer who has answered."""
        host, _, port = channel.agi.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        told: dict[str, str] = {}
        try:
            writer.write(_AGI.format(id=channel.id).encode())
            while line := (await reader.readline()).decode().strip():
                words = line.split(" ", 3)
                if words[:2] == ["SET", "VARIABLE"]:
                    told[words[2]] = words[3].strip('"')
                elif words[:2] == ["EXEC", "MSet"]:
                    told |= dict(pair.split("=", 1) for pair in words[2].strip('"').split(","))
                writer.write(b"200 result=1\n")
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        leg = self._channels.get(told.get("DOZVON_AGENT", ""))
        if told.get("DOZVON_NEXT") != "bridge" or leg is None or channel.gone:
            self.dismissed += 1
            self._end(channel, 16, "")
            return
        talk = f"talk-{next(self._numbers)}"
        self._say("BridgeLeave", leg, ("BridgeUniqueid", leg.bridge))
        for each, other in ((leg, channel), (channel, leg)):
            each.bridge, each.partner = talk, other
            self._say("BridgeEnter", each, ("BridgeUniqueid", talk))
        self._later(self.talk_s, self._leaves, channel)

    def _leaves(self, channel: _Channel) -> None:
        if not channel.gone:
            self._say("HangupRequest", channel, ("Cause", "16"))
            self._end(channel, 16, "")

    def _end(self, channel: _Channel, cause: int, code: str) -> None:
        if channel.gone:
            return
        channel.gone = True
        self._channels.pop(channel.id, None)
        if channel.bridge:
            self._say("BridgeLeave", channel, ("BridgeUniqueid", channel.bridge))
        self._say("Hangup", channel, ("Cause", str(cause)), ("Cause-txt", "x"), ("TechCause", code))
        leg = channel.partner
        if leg is not None and not leg.gone:
            self._say("BridgeLeave", leg, ("BridgeUniqueid", leg.bridge))
            self._waits(leg)

    def _later(self, seconds: float, act: object, *args: object) -> None:
        def due() -> None:
            self._timers.discard(timer)
            act(*args)  # type: ignore[operator]

        timer = asyncio.get_running_loop().call_later(seconds, due)
        self._timers.add(timer)


def _write(writer: asyncio.StreamWriter, *fields: tuple[str, str]) -> None:
    writer.write("".join(f"{name}: {value}\r\n" for name, value in fields).encode() + b"\r\n")
