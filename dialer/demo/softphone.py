"""Softphones of the demo's agents: `python -m dialer.demo.softphone`, one process, 1 or 2 phones.

They register, answer every call at once, send the voice of a WAV file and stay up until they are told
otherwise. On stdin comes a line of JSON that says who they are, then commands, a line each; on stdout go
events, a line each. It ends when stdin is closed, at SIGTERM, or with its parent.

    {"phones": [{"user": "agent1", "password": "...", "registrar": "127.0.0.1:5060"}], "voice": "agent.wav"}
    {"do": "hangup", "user": "agent1"}       also unregister, register, stats
    {"do": "die"}                            be gone without a word, as a phone that lost its power

    {"event": "ready"}
    {"event": "registration", "user": "agent1", "registered": true, "code": 200}
    {"event": "call", "user": "agent1", "state": "incoming" | "up" | "down", "code": 200, "reason": "OK"}
    {"event": "stats", "user": "agent1", "sent": 500, "received": 498}      packets of the present call
    {"event": "error", "reason": "..."}

PJSUA2 is under the GPL: this module alone imports it, and nothing of the server imports this module.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pjsua2 as pj

#: Of the wheel's four calls (PJSUA_MAX_CALLS, whatever maxCalls says) a phone needs two: its own, and a new
#: one that comes while it has not yet learned that the old one is dead. (A ninth account aborts the process.)
MAX_PHONES = 2
_LOOP_MS = 20
_PR_SET_PDEATHSIG = 1

Say = Callable[..., None]


class Phone(pj.Account):  # type: ignore[misc]
    """One registered phone; it has at most one call, the latest."""

    def __init__(self, user: str, say: Say, voice: pj.AudioMediaPlayer) -> None:
        super().__init__()
        self.user = user
        self.say = say
        self.voice = voice
        self.call: Leg | None = None
        #: Ended calls: a call must not be deleted within its own callback.
        self.ended: list[Leg] = []

    def onRegState(self, prm: Any) -> None:  # noqa: N802 - PJSUA2's name
        """Say whether the registrar knows us."""
        self.say(
            "registration",
            user=self.user,
            registered=prm.code // 100 == 2 and prm.expiration > 0,
            code=prm.code,
            reason=prm.reason,
        )

    def onIncomingCall(self, prm: Any) -> None:  # noqa: N802
        """Answer at once. A call that we still thought to have is over: the server calls a phone once."""
        old, self.call = self.call, Leg(self, prm.callId)
        if old is not None:
            self.ended.append(old)
            self.say("call", user=self.user, state="down", code=0, reason="replaced by a new call")
        self.say("call", user=self.user, state="incoming")
        answer, decline = pj.CallOpParam(), pj.CallOpParam()
        answer.statusCode, decline.statusCode = pj.PJSIP_SC_OK, pj.PJSIP_SC_INTERNAL_SERVER_ERROR
        try:
            self.call.answer(answer)
        except pj.Error as error:
            self.say("error", user=self.user, reason=f"cannot answer: {error.reason}")
            self._let_go(self.call, decline)  # whoever calls hears of it now, and calls again
        if old is not None:
            self._let_go(old, pj.CallOpParam())

    def _let_go(self, leg: Leg, how: Any) -> None:
        try:
            leg.hangup(how)
        except pj.Error as error:
            self.say("error", user=self.user, reason=f"cannot hang up: {error.reason}")


class Leg(pj.Call):  # type: ignore[misc]
    """One call of a phone."""

    def __init__(self, phone: Phone, call_id: int) -> None:
        super().__init__(phone, call_id)
        self.phone = phone

    def onCallState(self, _prm: Any) -> None:  # noqa: N802
        """Say when the call is up and when it is down."""
        info = self.getInfo()
        if info.state == pj.PJSIP_INV_STATE_CONFIRMED:
            self.phone.say("call", user=self.phone.user, state="up")
        elif info.state == pj.PJSIP_INV_STATE_DISCONNECTED and self.phone.call is self:
            self.phone.call = None
            self.phone.ended.append(self)
            self.phone.say(
                "call",
                user=self.phone.user,
                state="down",
                code=info.lastStatusCode,
                reason=info.lastReason,
            )

    def onCallMediaState(self, _prm: Any) -> None:  # noqa: N802
        """Send our voice into each stream that is there; a re-INVITE makes a new one."""
        # `info` owns the media it lists: without the variable they are read after they were freed.
        info = self.getInfo()
        for media in info.media:
            if media.type == pj.PJMEDIA_TYPE_AUDIO and media.status == pj.PJSUA_CALL_MEDIA_ACTIVE:
                self.phone.voice.startTransmit(self.getAudioMedia(media.index))

    def packets(self) -> tuple[int, int]:
        """Voice packets sent and received."""
        stat = self.getStreamStat(0)
        return stat.rtcp.txStat.pkt, stat.rtcp.rxStat.pkt


class Softphones:
    """The PJSUA2 endpoint with its phones; everything runs on the one thread that calls `run`."""

    def __init__(self, config: dict[str, Any], say: Say) -> None:
        self._say = say
        self._endpoint = pj.Endpoint()
        self._endpoint.libCreate()
        self._endpoint.libInit(_endpoint_config())
        transport = pj.TransportConfig()
        transport.port = 0
        transport.boundAddress = "127.0.0.1"
        self._endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, transport)
        self._endpoint.libStart()
        self._endpoint.audDevManager().setNullDev()
        for codec in self._endpoint.codecEnum2():
            self._endpoint.codecSetPriority(codec.codecId, 255 if codec.codecId.startswith("PCMA/") else 0)
        self._voice = pj.AudioMediaPlayer()
        self._voice.createPlayer(config["voice"])
        self.phones: dict[str, Phone] = {}
        for wanted in config["phones"]:
            phone = Phone(wanted["user"], say, self._voice)
            self.phones[phone.user] = phone
            phone.create(_account_config(wanted))
        self.done = False

    def run(self, commands: CommandReader) -> None:
        """Serve calls and commands until told to stop."""
        while not self.done:
            # PJSUA2 waits on its own sockets and cannot wait on stdin too: stdin is looked at every 20 ms.
            self._endpoint.libHandleEvents(_LOOP_MS)
            for phone in self.phones.values():
                phone.ended.clear()
            self.obey_all(commands.read())
            if commands.closed:
                self.done = True

    def obey_all(self, commands: list[dict[str, Any]]) -> None:
        """Do what they say, in order."""
        for command in commands:
            self._obey(command)

    def close(self) -> None:
        """Hang up, unregister and end."""
        self._endpoint.hangupAllCalls()
        for phone in self.phones.values():
            phone.shutdown()
            phone.call = phone.voice = None
            phone.ended.clear()
        # The player must be gone before the library is; the phones held the other references to it.
        del self._voice
        self._endpoint.libDestroy()

    def _obey(self, command: dict[str, Any]) -> None:
        what, user = command.get("do"), command.get("user", "")
        if what == "die":
            os._exit(1)
        phone = self.phones.get(user)
        if phone is None:
            self._say("error", user=user, reason="there is no such phone")
            return
        try:
            if what in ("unregister", "register"):
                phone.setRegistration(what == "register")
            elif phone.call is None:
                self._say("error", user=user, reason=f"no call to {what}")
            elif what == "hangup":
                phone.call.hangup(pj.CallOpParam())
            elif what == "stats":
                sent, received = phone.call.packets()
                self._say("stats", user=user, sent=sent, received=received)
            else:
                self._say("error", user=user, reason=f"there is no command {what}")
        except pj.Error as error:
            self._say("error", user=user, reason=error.reason)


class CommandReader:
    """Lines of JSON from a descriptor, as far as they have come."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._rest = b""
        self.closed = False

    def read(self, *, timeout_s: float = 0.0) -> list[dict[str, Any]]:
        """The whole lines that are there; an end of the file sets `closed`."""
        if self.closed or not select.select([self._fd], [], [], timeout_s)[0]:
            return []
        piece = os.read(self._fd, 65536)
        self.closed = not piece
        *lines, self._rest = (self._rest + piece).split(b"\n")
        return [json.loads(line) for line in lines if line.strip()]


def _endpoint_config() -> Any:
    config = pj.EpConfig()
    config.uaConfig.threadCnt = 0
    config.uaConfig.mainThreadOnly = True
    config.uaConfig.maxCalls = 2 * MAX_PHONES
    config.uaConfig.userAgent = "Dozvon demo phone"
    config.logConfig.level = config.logConfig.consoleLevel = 1
    # Telephone quality, no echo canceller, and packets even when nobody speaks.
    config.medConfig.clockRate = config.medConfig.sndClockRate = 8000
    config.medConfig.quality = 1
    config.medConfig.ecTailLen = 0
    config.medConfig.noVad = True
    return config


def _account_config(wanted: dict[str, str]) -> Any:
    config = pj.AccountConfig()
    config.idUri = f"sip:{wanted['user']}@{wanted['registrar']}"
    config.regConfig.registrarUri = f"sip:{wanted['registrar']}"
    config.regConfig.timeoutSec = 60
    config.regConfig.firstRetryIntervalSec = 1
    config.regConfig.retryIntervalSec = 1
    config.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", wanted["user"], 0, wanted["password"]))
    config.mediaConfig.transportConfig.boundAddress = "127.0.0.1"
    config.mediaConfig.transportConfig.port = 0
    return config


def _events_to(fd: int) -> Say:
    def say(event: str, **fields: object) -> None:
        os.write(fd, (json.dumps({"event": event, **fields}, ensure_ascii=False) + "\n").encode())

    return say


def main() -> None:
    """Be the phones that the first line of stdin describes."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    # Ctrl-C reaches every process of the terminal; when the phones end is their parent's business.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # PJSIP prints to stdout before it can be told not to: events get a descriptor of their own.
    say = _events_to(os.dup(1))
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    commands = CommandReader(0)
    first: list[dict[str, Any]] = []
    while not first and not commands.closed:
        first = commands.read(timeout_s=60.0)
    if not first:
        return
    config, rest = first[0], first[1:]
    if not 1 <= len(config["phones"]) <= MAX_PHONES:
        say("error", reason=f"one process has 1 to {MAX_PHONES} phones")
        sys.exit(2)
    try:
        softphones = Softphones(config, say)
    except pj.Error as error:
        say("error", reason=error.reason)
        sys.exit(1)
    signal.signal(signal.SIGTERM, lambda *_: setattr(softphones, "done", True))
    say("ready")
    softphones.obey_all(rest)
    softphones.run(commands)
    softphones.close()


if __name__ == "__main__":
    main()
