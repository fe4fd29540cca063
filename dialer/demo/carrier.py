"""The loopback carrier: a second Asterisk that answers, refuses and talks as the number plan says.

It is a real carrier to the dialer: SIP with credentials over UDP, RTP in alaw, and a log of its own in which
every message stands. Everything binds to 127.0.0.1, on ports and with a secret made at each start.
"""

from __future__ import annotations

import os
import random
import secrets
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from socket import SOCK_DGRAM

from dialer.asterisk.config import TrunkLine
from dialer.asterisk.runtime import AsteriskBinary, AsteriskServer
from dialer.debian.packages import Progress, silent
from dialer.demo.invites import InviteCounter
from dialer.demo.voices import VOICES, Speak, make_voices
from dialer.errors import AsteriskUnavailable
from dialer.ports import free_port

CONF_DIR = Path(__file__).parent / "carrier_conf"

HOST = "127.0.0.1"
#: Voice ports of one carrier: two a leg. Ranges of two carriers may overlap; a taken port is passed over.
RTP_PORTS = 4000
#: Below the ports that the kernel hands out by itself.
RTP_FIRST, RTP_LAST = 12_000, 32_000
#: How often another port is tried when somebody took ours between the choice and the start.
_TRIES = 4

#: Endpoints of phones are named so, and so is the user of their contact: no number looks like it.
PHONE_PREFIX = "phone-"


@dataclass(frozen=True, slots=True)
class CarrierPhone:
    """A phone that the carrier's Asterisk plays: it registers, answers every call and talks."""

    #: SIP user name at the registrar; letters, digits, - and _.
    user: str
    password: str = field(repr=False)
    #: host:port of the registrar.
    registrar: str


class Carrier:
    """One loopback carrier in one run folder. Not for two tasks at once.

    With no `speak` it finds in `voices_dir` what its people say.
    """

    def __init__(
        self, binary: AsteriskBinary, run_dir: Path, speak: Speak | None, *, locale: str = "ru"
    ) -> None:
        self._speak = speak
        self._locale = locale
        self.user = "dialer"
        self.secret = secrets.token_hex(16)
        self.host = HOST
        #: UDP port of SIP; 0 until it is started.
        self.port = 0
        self.voices_dir = run_dir.absolute() / "voices"
        self._counter = InviteCounter()
        self._counted_to = 0
        self._server = AsteriskServer(binary, run_dir, (CONF_DIR,), {})

    @property
    def log_path(self) -> Path:
        """Its log since the last start, with every SIP message."""
        return self._server.log_path

    async def start(self, progress: Progress = silent) -> None:
        """Start it with a new port and an empty log; one that runs in this folder is stopped first.

        Raises AsteriskUnavailable when it does not start, and what making speech raises.
        """
        await self._server.stop()
        self.log_path.unlink(missing_ok=True)
        self._counter, self._counted_to = InviteCounter(), 0
        if self._speak is not None:
            progress("loopback carrier: recording what its people say")
            await make_voices(self._speak, self.voices_dir, locale=self._locale)
        for _ in range(_TRIES):
            port = free_port(SOCK_DGRAM)
            self._server.write_generated(self._generated(port))
            await self._server.start()
            if "127.0.0.1" in await self._server.cli("pjsip show transport carrier-udp"):
                self.port = port
                progress(f"loopback carrier: listens on {HOST}:{port}, log {self.log_path}")
                return
            await self._server.stop()
        raise AsteriskUnavailable(
            reason=f"the loopback carrier got none of {_TRIES} ports, see {self.log_path}"
        )

    async def stop(self) -> None:
        """Stop it; its calls are hung up. The log stays."""
        await self._server.stop()

    @property
    def pid(self) -> int | None:
        """Of its Asterisk, while that runs."""
        return self._server.pid

    def kill(self) -> None:
        """It is gone without a word to anybody, as a machine that lost its power."""
        if (pid := self._server.pid) is not None:
            os.kill(pid, signal.SIGKILL)

    def beside(self, name: str) -> Carrier:
        """Another like it, not started, in the folder `name` below it and with its voices."""
        other = Carrier(self._server.binary, self._server.run_dir / name, None, locale=self._locale)
        other.voices_dir = self.voices_dir
        return other

    def trunk(self, endpoint: str = "carrier", *, max_channels: int = 200) -> TrunkLine:
        """The dialer's way to it, for the dialer's Asterisk. It must be started."""
        return TrunkLine(
            endpoint=endpoint,
            host=self.host,
            port=self.port,
            user=self.user,
            secret=self.secret,
            codecs=("alaw",),
            max_channels=max_channels,
        )

    def invites(self) -> dict[str, set[str]]:
        """The Call-IDs of the INVITEs that came in since the start, by number (see `invites.py`)."""
        self._read_on()
        return self._counter.calls()

    def began(self) -> dict[str, list[datetime | None]]:
        """When each of these calls began, by number."""
        self._read_on()
        return self._counter.began()

    def _read_on(self) -> None:
        with self.log_path.open("rb") as log:
            log.seek(self._counted_to)
            piece = log.read()
        # A character may be cut at the end of what is written so far; what matters is ASCII.
        self._counter.feed(piece.decode("ascii", errors="replace"))
        self._counted_to += len(piece)

    def double_dials(self) -> dict[str, int]:
        """How many calls too many each number got; empty is right where each is to be dialled once."""
        return {number: len(ids) - 1 for number, ids in self.invites().items() if len(ids) > 1}

    async def cli(self, command: str) -> str:
        """What its console says to `command`."""
        return await self._server.cli(command)

    async def set_phones(self, phones: Sequence[CarrierPhone]) -> None:
        """Register these phones, in place of those it had. Returns before they are registered.

        Raises ValueError for a user, password or registrar that a configuration file cannot hold.
        """
        self._server.write_generated({"phones.conf": render_phones(phones)})
        await self._server.cli("module reload res_pjsip.so res_pjsip_outbound_registration.so")

    async def registered_phones(self) -> set[str]:
        """Users of the phones that are registered now."""
        said = await self._server.cli("pjsip show registrations")
        lines = (line.split() for line in said.splitlines() if " Registered " in f"{line} ")
        names = (words[0].split("/")[0] for words in lines if words)
        return {name.removeprefix(PHONE_PREFIX) for name in names if name.startswith(PHONE_PREFIX)}

    def _generated(self, port: int) -> dict[str, str]:
        rtp = random.randrange(RTP_FIRST, RTP_LAST - RTP_PORTS, 2)  # noqa: S311 - to be apart, not secret
        return {
            "globals.conf": f"[globals]\nSOUNDS = {self.voices_dir}\nVOICES = {VOICES}\n",
            "listen.conf": (
                f"[carrier-udp]\ntype = transport\nprotocol = udp\nbind = {HOST}:{port}\n\n"
                f"[dialer]\ntype = auth\nauth_type = userpass\n"
                f"username = {self.user}\npassword = {self.secret}\n"
            ),
            "phones.conf": render_phones(()),
            "rtp.conf": f"rtpstart = {rtp}\nrtpend = {rtp + RTP_PORTS - 1}\n",
        }


def render_phones(phones: Sequence[CarrierPhone]) -> str:
    """The phones as sections of pjsip.conf. Raises ValueError for what such a file cannot hold."""
    parts = ["; Phones of the demo's agents.\n"]
    for phone in phones:
        for value in (phone.user, phone.password, phone.registrar):
            if not value or not value.isascii() or set(value) & set(";[]\\#,") or not value.isprintable():
                raise ValueError("a phone's user, password or registrar holds what a configuration cannot")
        name = f"{PHONE_PREFIX}{phone.user}"
        parts.append(
            f"[{name}]\ntype = endpoint\ncontext = phones\ndisallow = all\nallow = alaw\n"
            f"media_address = {HOST}\nbind_rtp_to_media_address = yes\ndirect_media = no\ntimers = no\n\n"
            f"[{name}-auth]\ntype = auth\nauth_type = userpass\n"
            f"username = {phone.user}\npassword = {phone.password}\n\n"
            f"[{name}]\ntype = registration\noutbound_auth = {name}-auth\n"
            f"server_uri = sip:{phone.registrar}\nclient_uri = sip:{phone.user}@{phone.registrar}\n"
            f"contact_user = {name}\nline = yes\nendpoint = {name}\n"
            "expiration = 60\nmax_random_initial_delay = 1\nretry_interval = 1\nmax_retries = 100\n"
            "forbidden_retry_interval = 5\nauth_rejection_permanent = no\n"
        )
    return "\n".join(parts)
