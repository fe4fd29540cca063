"""The loopback carrier and the demo's phones against a real Asterisk with the product's configuration.

Every call of `SCENARIOS` is made at once, when the first test asks for them; each test then looks at one.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import socket
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from support.asterisk import asterisk_folder, free_ports

import asterisk_conf
from dialer.asterisk.ami import Address, AmiEvent, AmiLink
from dialer.asterisk.config import AgentPhone, ha1, render_managed
from dialer.asterisk.runtime import AsteriskBinary, AsteriskServer
from dialer.asterisk.speech import Speaker
from dialer.demo import carrier as carrier_module
from dialer.demo.carrier import HOST, RTP_FIRST, RTP_LAST, Carrier, CarrierPhone, render_phones
from dialer.demo.numbers import REFUSALS, Behaviour, Planned, encode
from dialer.demo.phones import AgentPhones, Phone
from dialer.errors import PhonesFailed
from dialer.settings import load

#: What the dialer's side does with an answered call here: listen for a machine, read three digits, wait.
EXTENSIONS = """
#include extensions_dozvon.conf
[dozvon-closed]
[dozvon-inbound]
[test]
exten => screen,1,AMD(2500,1500,700,4000,100,50,3,256)
 same => n,UserEvent(Heard,Text: ${AMDSTATUS})
 same => n,Wait(60)
exten => digits,1,Read(DIGITS,,3,,,8)
 same => n,UserEvent(Heard,Text: ${DIGITS})
 same => n,Wait(60)
exten => wait,1,Wait(60)
"""

AGENTS = [f"agent{i}" for i in range(10)]
SPARE = ["spare1", "spare2"]
LOST = "lost1"


@dataclass(slots=True)
class Call:
    """What the dialer's Asterisk has said of one of its channels."""

    events: list[AmiEvent] = field(default_factory=list)

    def find(self, name: str) -> AmiEvent | None:
        """The last event of this name."""
        return next((event for event in reversed(self.events) if event.name == name), None)

    def at(self, name: str) -> float:
        """When it came; the event must be there."""
        event = self.find(name)
        assert event is not None, [event.name for event in self.events]
        return event.received_at

    @property
    def dial_status(self) -> str | None:
        event = self.find("DialEnd")
        return event["DialStatus"] if event else None

    @property
    def heard(self) -> str | None:
        event = self.find("UserEvent")
        return event["Text"] if event else None

    @property
    def rang(self) -> bool:
        return any(event.get("ChannelStateDesc") == "Ringing" for event in self.events)


class Dialer:
    """The dialer's Asterisk, driven by AMI, and what it said of each channel."""

    def __init__(self, link: AmiLink, sip_port: int) -> None:
        self.link = link
        self.sip_port = sip_port
        self.calls: dict[str, Call] = {}
        self._changed = asyncio.Condition()

    async def watch(self) -> None:
        while True:
            event = await self.link.inbox.get()
            if isinstance(event, AmiEvent):
                channel = event.get("DestUniqueid") or event.get("Uniqueid")
                async with self._changed:
                    self.calls.setdefault(channel, Call()).events.append(event)
                    self._changed.notify_all()

    async def originate(self, channel: str, *, timeout_s: float = 40.0, **action: str) -> str:
        """Start a call; returns its channel id."""
        call_id = str(uuid.uuid4())
        await self.link.send(
            {
                "Action": "Originate",
                "Channel": channel,
                "ChannelId": call_id,
                "Async": "true",
                "Timeout": str(round(timeout_s * 1000)),
                "CallerID": "<+74951234567>",
                **action,
            }
        )
        return call_id

    async def dial(self, number: Planned, exten: str = "wait", *, timeout_s: float = 40.0) -> str:
        """Call a number of the plan."""
        return await self.originate(
            f"PJSIP/{number.e164}@carrier", Context="test", Exten=exten, Priority="1", timeout_s=timeout_s
        )

    async def wait(self, call_id: str, true: Callable[[Call], Any], timeout_s: float = 40.0) -> Call:
        """Wait until `true` of the call."""
        async with self._changed:
            await asyncio.wait_for(
                self._changed.wait_for(lambda: call_id in self.calls and true(self.calls[call_id])),
                timeout_s,
            )
        return self.calls[call_id]

    async def ended(self, call_id: str) -> Call:
        return await self.wait(call_id, lambda call: call.find("Hangup"))

    async def received(self, call_id: str) -> int:
        """Voice packets received on a channel."""
        reply = await self.link.send(
            {"Action": "Getvar", "Channel": call_id, "Variable": "CHANNEL(rtcp,rxcount)"}
        )
        return int(reply["Value"] or 0)

    async def hangup(self, call_id: str) -> None:
        await self.link.send({"Action": "Hangup", "Channel": call_id})


@dataclass(frozen=True, slots=True)
class Scenario:
    """One call to the carrier."""

    number: Planned
    #: Extension of EXTENSIONS that takes the answer.
    exten: str = "wait"
    #: Seconds that the dialer lets it ring.
    timeout_s: float = 20.0
    #: Hung up by the dialer so long after the answer; None: who is called ends it.
    talk_s: float | None = None


SCENARIOS: Mapping[str, Scenario] = {
    **{f"refused-{kind.name}": Scenario(encode(kind, ring_s=1.0)) for kind in REFUSALS},
    "no-answer": Scenario(encode(Behaviour.NO_ANSWER), timeout_s=3.0),
    "human": Scenario(encode(Behaviour.HUMAN, ring_s=2.0, detail=1), "screen"),
    "late-human": Scenario(encode(Behaviour.LATE_HUMAN, ring_s=6.0), talk_s=0.1),
    "leaves-early": Scenario(encode(Behaviour.LEAVES_EARLY, detail=10)),
    "hangs-up-at-once": Scenario(encode(Behaviour.HANGS_UP_AT_ONCE, ring_s=0.5)),
    "machine": Scenario(encode(Behaviour.MACHINE, ring_s=0.5, detail=1), "screen", talk_s=6.0),
    "silent": Scenario(encode(Behaviour.SILENT), "screen", talk_s=6.0),
    "no-voice": Scenario(encode(Behaviour.NO_VOICE), "screen", talk_s=6.0),
    "sends-dtmf": Scenario(encode(Behaviour.SENDS_DTMF, detail=407), "digits", talk_s=6.0),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """A scenario's call after its end."""

    call: Call
    #: Voice packets that the dialer received until it hung up; 0 where it did not.
    received: int


# -- fixtures ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with asterisk_folder() as folder:
        yield folder


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def carrier(asterisk_binary: AsteriskBinary, folder: Path) -> AsyncIterator[Carrier]:
    carrier = Carrier(asterisk_binary, folder / "carrier", Speaker.of(load()).speak)
    try:
        await carrier.start(print)
        yield carrier
    finally:
        await carrier.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def dialer(asterisk_binary: AsteriskBinary, carrier: Carrier, folder: Path) -> AsyncIterator[Dialer]:
    own = folder / "conf"
    own.mkdir()
    (own / "extensions.conf").write_text(EXTENSIONS)
    # Every scenario is on the line at once.
    managed = replace(free_ports(), rtp_port_from=14_000, rtp_port_to=31_999)
    phones = [AgentPhone(user, ha1(user, password(user))) for user in (*AGENTS, *SPARE, LOST)]
    server = AsteriskServer(
        asterisk_binary,
        folder / "dialer",
        (asterisk_conf.FOLDER, own),
        render_managed(managed, phones, [carrier.trunk()]),
        listens=managed,
    )
    address = Address(HOST, managed.ami_port, managed.ami_user, managed.ami_secret)
    link = AmiLink(address, action_timeout_s=10.0, ping_s=5.0)
    dialer = Dialer(link, managed.sip_port)
    tasks = []
    try:
        await server.start()
        tasks = [asyncio.create_task(link.run()), asyncio.create_task(dialer.watch())]
        await link.wait_up(10.0)
        yield dialer
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def outcomes(dialer: Dialer) -> dict[str, Outcome]:
    async def play(scenario: Scenario) -> Outcome:
        call_id = await dialer.dial(scenario.number, scenario.exten, timeout_s=scenario.timeout_s)
        received = 0
        if scenario.talk_s is not None:
            await dialer.wait(call_id, lambda call: call.dial_status == "ANSWER")
            await asyncio.sleep(scenario.talk_s)
            received = await dialer.received(call_id)
            await dialer.hangup(call_id)
        return Outcome(await dialer.ended(call_id), received)

    ended = await asyncio.gather(*map(play, SCENARIOS.values()))
    return dict(zip(SCENARIOS, ended, strict=True))


def password(user: str) -> str:
    return f"password of {user}".replace(" ", "-")


# -- the number plan -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", REFUSALS, ids=lambda kind: kind.name)
def test_a_refusing_number_ends_as_the_plan_says(outcomes: dict[str, Outcome], kind: Behaviour) -> None:
    """The dialer's Asterisk sees the plan's SIP code, cause and dial status, and no answer."""
    call = outcomes[f"refused-{kind.name}"].call
    hangup = call.find("Hangup")
    assert hangup is not None
    refusal = REFUSALS[kind]
    assert (hangup["TechCause"], hangup["Cause"], call.dial_status) == (
        str(refusal.sip_code),
        str(refusal.cause),
        refusal.dial_status,
    )


@pytest.mark.parametrize(
    "name", ["refused-DECLINED", "refused-UNAVAILABLE", "human", "late-human", "hangs-up-at-once"]
)
def test_the_phone_rings_as_long_as_the_number_says(outcomes: dict[str, Outcome], name: str) -> None:
    """From the call to the answer or refusal the ring time of the number passes."""
    call = outcomes[name].call
    assert call.rang
    rang_s = call.at("DialEnd") - call.at("DialBegin")
    assert rang_s == pytest.approx(SCENARIOS[name].number.ring_s, abs=0.6)


def test_no_answer_rings_until_the_dialer_gives_up(outcomes: dict[str, Outcome]) -> None:
    """Asterisk then says no DialEnd, and a cause of its own."""
    call = outcomes["no-answer"].call
    hangup = call.find("Hangup")
    assert call.rang
    assert call.dial_status is None
    assert hangup is not None
    assert hangup["Cause"] == "19"


def test_a_person_is_heard_as_a_person_and_leaves_when_nobody_speaks(outcomes: dict[str, Outcome]) -> None:
    """Machine detection finds a person; hearing no word the person hangs up after some twenty seconds."""
    call = outcomes["human"].call
    assert call.heard == "HUMAN"
    assert call.find("HangupRequest") is not None
    assert 20.0 < call.at("Hangup") - call.at("DialEnd") < 24.0


@pytest.mark.parametrize(
    ("name", "heard"), [("machine", "MACHINE"), ("silent", "MACHINE"), ("no-voice", "NOTSURE")]
)
def test_machine_detection_hears_each_kind(outcomes: dict[str, Outcome], name: str, heard: str) -> None:
    """A long greeting and silence are machines; a line without packets is not sure."""
    assert outcomes[name].call.heard == heard


def test_who_answers_sends_voice_packets(outcomes: dict[str, Outcome]) -> None:
    """Machines and silent people send fifty packets a second without a gap, a dead line none."""
    for name in ("machine", "silent"):
        assert outcomes[name].received == pytest.approx(6.0 * 50, rel=0.15)
    assert outcomes["no-voice"].received == 0


def test_an_early_leaver_hangs_up_by_himself(outcomes: dict[str, Outcome]) -> None:
    """A second after the answer, as the detail of the number says, he is gone."""
    call = outcomes["leaves-early"].call
    assert call.find("HangupRequest") is not None
    assert call.at("Hangup") - call.at("DialEnd") == pytest.approx(1.0, abs=0.5)


def test_who_hangs_up_at_once_was_answered(outcomes: dict[str, Outcome]) -> None:
    """There is an answer, and within a second the end of it."""
    call = outcomes["hangs-up-at-once"].call
    assert call.dial_status == "ANSWER"
    assert call.at("Hangup") - call.at("DialEnd") < 1.0


def test_digits_of_the_number_are_pressed(outcomes: dict[str, Outcome]) -> None:
    """The caller hears the three digits of the detail as DTMF."""
    assert outcomes["sends-dtmf"].call.heard == "407"


# -- counting, and who is let in -----------------------------------------------------------------------------


async def test_the_carrier_counts_what_came_over_the_wire(
    carrier: Carrier, dialer: Dialer, outcomes: dict[str, Outcome]
) -> None:
    """Each number of the scenarios was called once; one that is called again is a double dial."""
    invites = carrier.invites()
    assert all(len(invites[scenario.number.e164]) == 1 for scenario in SCENARIOS.values())
    assert len(outcomes) == len(SCENARIOS)
    twice = encode(Behaviour.BUSY, detail=222)
    for _ in range(2):
        await dialer.ended(await dialer.dial(twice))
    assert carrier.double_dials() == {twice.e164: 1}


async def test_a_port_that_is_taken_is_not_kept(
    carrier: Carrier, asterisk_binary: AsteriskBinary, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where somebody takes the chosen port before Asterisk does, another is chosen."""
    ports = iter([carrier.port, carrier_module.free_udp_port()])
    monkeypatch.setattr(carrier_module, "free_udp_port", lambda: next(ports))
    other = Carrier(asterisk_binary, folder / "other", Speaker.of(load()).speak)
    try:
        await other.start()
        assert other.port not in (0, carrier.port)
    finally:
        await other.stop()


async def test_a_caller_without_credentials_is_refused(carrier: Carrier) -> None:
    """An INVITE from another program of the same machine is answered 401."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.setblocking(False)
        stranger.bind((HOST, 0))
        port = stranger.getsockname()[1]
        number = encode(Behaviour.HUMAN, detail=999).e164
        request = (
            f"INVITE sip:{number}@{HOST}:{carrier.port} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {HOST}:{port};branch=z9hG4bK{uuid.uuid4().hex}\r\n"
            f"From: <sip:stranger@{HOST}>;tag=1\r\nTo: <sip:{number}@{HOST}>\r\n"
            f"Contact: <sip:stranger@{HOST}:{port}>\r\n"
            f"Call-ID: {uuid.uuid4()}\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        )
        stranger.connect((HOST, carrier.port))
        await loop.sock_sendall(stranger, request.encode())
        reply = await asyncio.wait_for(loop.sock_recv(stranger, 65536), 5.0)
    assert reply.startswith(b"SIP/2.0 401 ")


async def test_the_carrier_is_on_loopback_only(carrier: Carrier, dialer: Dialer) -> None:
    """SIP and the voice of a call are on 127.0.0.1, and no TCP port is open."""
    call_id = await dialer.dial(encode(Behaviour.SILENT, detail=998))
    await dialer.wait(call_id, lambda call: call.dial_status == "ANSWER")
    pid = int((carrier.log_path.parent.parent / "run/asterisk.pid").read_text())
    udp = sockets_of(pid, "udp")
    await dialer.hangup(call_id)
    assert (HOST, carrier.port) in udp
    voice = {(address, port) for address, port in udp if RTP_FIRST <= port < RTP_LAST}
    assert len(voice) >= 2
    assert {address for address, _ in voice} == {HOST}
    assert sockets_of(pid, "tcp") == set()


def sockets_of(pid: int, protocol: str) -> set[tuple[str, int]]:
    """Addresses and ports to which a process is bound (IPv4)."""
    opened = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            opened.add(link.readlink().name)
    bound = set()
    for line in Path(f"/proc/{pid}/net/{protocol}").read_text().splitlines()[1:]:
        words = line.split()
        address, port = words[1].split(":")
        if f"socket:[{words[9]}]" in opened:
            bound.add((str(ipaddress.ip_address(bytes.fromhex(address)[::-1])), int(port, 16)))
    return bound


# -- phones --------------------------------------------------------------------------------------------------


@asynccontextmanager
async def phones_of(
    users: list[str], carrier: Carrier, dialer: Dialer, **kwargs: Any
) -> AsyncIterator[AgentPhones]:
    phones = AgentPhones(
        [Phone(user, password(user)) for user in users],
        registrar=f"{HOST}:{dialer.sip_port}",
        carrier=carrier,
        **kwargs,
    )
    await phones.start()
    try:
        await phones.wait_registered()
        yield phones
    finally:
        await phones.stop()


async def log_in(dialer: Dialer, user: str) -> str:
    """Call an agent's phone into its waiting bridge; returns the channel id of its leg."""
    leg = await dialer.originate(f"PJSIP/{user}", Context="dozvon-agent", Exten="s", Priority="1")
    await dialer.wait(leg, lambda call: call.find("BridgeEnter"), 10.0)
    return leg


async def join(dialer: Dialer, number: Planned, leg: str) -> str:
    """Call a number and join it to the agent; returns the customer's channel id."""
    customer = await dialer.originate(f"PJSIP/{number.e164}@carrier", Application="Bridge", Data=leg)
    await dialer.wait(customer, lambda call: call.find("BridgeEnter"), 10.0)
    return customer


async def test_ten_softphones_stay_up_through_talks(carrier: Carrier, dialer: Dialer) -> None:
    """Ten phones register, are called, wait, talk with voice both ways, and wait again after the talk."""
    async with phones_of(AGENTS, carrier, dialer) as phones:
        assert phones.kind == "softphones"
        legs = await asyncio.gather(*(log_in(dialer, user) for user in AGENTS))
        people = [encode(Behaviour.HUMAN, detail=300 + i) for i in range(len(AGENTS))]
        customers = await asyncio.gather(*(join(dialer, *pair) for pair in zip(people, legs, strict=True)))
        before = await asyncio.gather(*(phones.packets(user) for user in AGENTS))
        await asyncio.sleep(3.0)
        after = await asyncio.gather(*(phones.packets(user) for user in AGENTS))
        for first, last in zip(before, after, strict=True):
            assert last.sent - first.sent == pytest.approx(150, rel=0.3)
            assert last.received - first.received == pytest.approx(150, rel=0.3)
        for customer in customers:
            assert await dialer.received(customer) > 100
            await dialer.hangup(customer)
        await asyncio.gather(*(dialer.ended(customer) for customer in customers))
        for leg in legs:
            await dialer.wait(leg, lambda call: sum(e.name == "BridgeEnter" for e in call.events) == 3, 5.0)
            assert dialer.calls[leg].find("Hangup") is None


async def test_a_customer_leaves_after_the_talk_his_number_says(carrier: Carrier, dialer: Dialer) -> None:
    """LEAVES_TALK hangs up so long after the first words he hears, and the agent waits again."""
    async with phones_of(SPARE[:1], carrier, dialer, per_process=1) as phones:
        leg = await log_in(dialer, SPARE[0])
        customer = await join(dialer, encode(Behaviour.LEAVES_TALK, detail=20), leg)
        call = await dialer.ended(customer)
        assert call.find("HangupRequest") is not None
        assert 2.0 < call.at("Hangup") - call.at("BridgeEnter") < 9.0
        await phones.hangup(SPARE[0])
        await dialer.ended(leg)
        with pytest.raises(PhonesFailed):
            await phones.packets(SPARE[0])


async def test_a_phone_takes_a_new_call_for_the_end_of_the_old(carrier: Carrier, dialer: Dialer) -> None:
    """After a crash of Asterisk the phone still believes in its call; the next one must be answered."""
    async with phones_of(SPARE[1:], carrier, dialer):
        first = await log_in(dialer, SPARE[1])
        second = await log_in(dialer, SPARE[1])
        await dialer.ended(first)
        assert dialer.calls[second].find("Hangup") is None
        await dialer.hangup(second)
        await dialer.ended(second)


async def test_a_phone_that_loses_its_power_says_nothing(carrier: Carrier, dialer: Dialer) -> None:
    """No BYE comes: the leg ends when Asterisk has heard no voice for five seconds."""
    async with phones_of([LOST], carrier, dialer, per_process=1) as phones:
        leg = await log_in(dialer, LOST)
        await phones.die(LOST)
        call = await dialer.ended(leg)
        hangup = call.find("Hangup")
        assert hangup is not None
        assert hangup["Cause"] == "44"


async def test_phones_on_the_carrier_serve_where_there_are_no_softphones(
    carrier: Carrier, dialer: Dialer
) -> None:
    """They register, answer, talk, hang up and leave by their own hand; their calls are not the dialer's."""
    async with phones_of(SPARE, carrier, dialer, kind="carrier") as phones:
        leg, other = await asyncio.gather(*(log_in(dialer, user) for user in SPARE))
        customer = await join(dialer, encode(Behaviour.HUMAN, detail=500), leg)
        await asyncio.sleep(2.0)
        assert await dialer.received(leg) > 50
        assert await dialer.received(customer) > 50
        await phones.hangup(SPARE[0])
        call = await dialer.ended(leg)
        assert call.find("HangupRequest") is not None
        assert dialer.calls[other].find("Hangup") is None
        await dialer.hangup(other)
        await dialer.ended(other)
    assert not any("phone" in number for number in carrier.invites())
    assert await carrier.registered_phones() == set()


async def test_softphones_end_with_whoever_started_them(carrier: Carrier) -> None:
    """Killed without a chance to tidy up, their parent takes them along, though no registrar answers them."""
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PARENT, str(carrier.voices_dir / "agent.wav")), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    softphone = os.pidfd_open(int(await parent.stdout.readline()))
    try:
        assert b"ready" in await parent.stdout.readline()
        parent.kill()
        await parent.wait()
        ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(softphone, ended.set)
        await asyncio.wait_for(ended.wait(), 10.0)
    finally:
        asyncio.get_running_loop().remove_reader(softphone)
        os.close(softphone)


#: Starts a softphone process, tells its id and waits to be killed.
PARENT = """
import json, subprocess, sys
phone = subprocess.Popen([sys.executable, "-m", "dialer.demo.softphone"], stdin=subprocess.PIPE)
print(phone.pid, flush=True)
account = {"user": "nobody", "password": "x", "registrar": "127.0.0.1:9"}
phone.stdin.write(json.dumps({"phones": [account], "voice": sys.argv[1]}).encode() + b"\\n")
phone.stdin.flush()
phone.wait()
"""


def test_a_phone_cannot_smuggle_configuration() -> None:
    """A password that would begin a line of its own is refused before a file is written."""
    with pytest.raises(ValueError, match="holds what a configuration cannot"):
        render_phones([CarrierPhone("a", "x\n[dialer]", "127.0.0.1:5060")])
