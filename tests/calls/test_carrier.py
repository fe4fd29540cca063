"""The loopback carrier against a real Asterisk with the product's configuration.

Every call of `SCENARIOS` is made at once, when the first test asks for them; each test then looks at one.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from support.dialer_side import *  # noqa: F403
from support.dialer_side import Call, Dialer

from dialer.asterisk.runtime import AsteriskBinary
from dialer.asterisk.speech import Speaker
from dialer.demo import carrier as carrier_module
from dialer.demo.carrier import HOST, RTP_FIRST, RTP_LAST, Carrier
from dialer.demo.numbers import REFUSALS, Behaviour, Planned, encode
from dialer.ports import free_port
from dialer.settings import load


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
    "stays": Scenario(encode(Behaviour.STAYS, ring_s=1.0, detail=2, prefix=27)),
    "rings-out": Scenario(encode(Behaviour.RINGS_OUT, ring_s=1.0, prefix=27)),
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


@pytest.mark.parametrize("name", ["stays", "rings-out"])
def test_the_network_takes_its_time_before_it_rings(outcomes: dict[str, Outcome], name: str) -> None:
    """As long as the number says, and then it rings as long as the number says."""
    call, number = outcomes[name].call, SCENARIOS[name].number
    ringing = next(event for event in call.events if event.get("ChannelStateDesc") == "Ringing")
    assert ringing.received_at - call.at("DialBegin") == pytest.approx(number.setup_s, abs=0.5)
    assert call.at("DialEnd") - ringing.received_at == pytest.approx(number.ring_s, abs=0.5)


def test_who_stays_leaves_when_the_number_says(outcomes: dict[str, Outcome]) -> None:
    """After so many steps of two seconds from the answer, though nobody has said a word."""
    call = outcomes["stays"].call
    assert call.find("HangupRequest") is not None
    assert call.at("Hangup") - call.at("DialEnd") == pytest.approx(4.0, abs=0.7)


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
    ports = iter([carrier.port, free_port(socket.SOCK_DGRAM)])
    monkeypatch.setattr(carrier_module, "free_port", lambda _kind: next(ports))
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
