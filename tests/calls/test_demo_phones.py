"""The phones of the demo's agents against a real Asterisk with the product's configuration."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from support.dialer_side import *  # noqa: F403
from support.dialer_side import AGENTS, LOST, SPARE, Dialer, password

from dialer.demo.carrier import HOST, Carrier, CarrierPhone, render_phones
from dialer.demo.numbers import Behaviour, Planned, encode
from dialer.demo.phones import AgentPhones, Kind, Packets, Phone, available
from dialer.errors import PhonesFailed

#: Each kind that this machine can have: phones on the carrier can be had everywhere.
KINDS: list[Kind] = ["carrier"] if available() == "carrier" else ["softphones", "carrier"]
every_kind = pytest.mark.parametrize("kind", KINDS)


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


async def heard(phones: AgentPhones, user: str) -> tuple[Packets, float]:
    """The packets of a phone's call, and when they were counted: on a busy machine asking takes its time."""
    return await phones.packets(user), asyncio.get_running_loop().time()


@every_kind
async def test_ten_phones_stay_up_through_talks(carrier: Carrier, dialer: Dialer, kind: Kind) -> None:
    """Ten phones register, are called, wait, talk with voice both ways, and wait again after the talk."""
    async with phones_of(AGENTS, carrier, dialer, kind=kind) as phones:
        legs = await asyncio.gather(*(log_in(dialer, user) for user in AGENTS))
        people = [encode(Behaviour.HUMAN, detail=300 + i) for i in range(len(AGENTS))]
        customers = await asyncio.gather(*(join(dialer, *pair) for pair in zip(people, legs, strict=True)))
        before = await asyncio.gather(*(heard(phones, user) for user in AGENTS))
        await asyncio.sleep(3.0)
        after = await asyncio.gather(*(heard(phones, user) for user in AGENTS))
        for (first, began_s), (last, ended_s) in zip(before, after, strict=True):
            usual = 50 * (ended_s - began_s)  # a packet has 20 ms of voice
            assert last.sent - first.sent == pytest.approx(usual, rel=0.3)
            assert last.received - first.received == pytest.approx(usual, rel=0.3)
        for customer in customers:
            assert await dialer.received(customer) > 100
            await dialer.hangup(customer)
        await asyncio.gather(*(dialer.ended(customer) for customer in customers))
        for leg in legs:
            await dialer.wait(leg, lambda call: sum(e.name == "BridgeEnter" for e in call.events) == 3, 5.0)
            assert dialer.calls[leg].find("Hangup") is None


@every_kind
async def test_a_customer_leaves_after_the_talk_his_number_says(
    carrier: Carrier, dialer: Dialer, kind: Kind
) -> None:
    """LEAVES_TALK hangs up so long after the first words he hears, and the agent waits again."""
    async with phones_of(SPARE[:1], carrier, dialer, kind=kind, apart=True) as phones:
        leg = await log_in(dialer, SPARE[0])
        customer = await join(dialer, encode(Behaviour.LEAVES_TALK, detail=20), leg)
        call = await dialer.ended(customer)
        assert call.find("HangupRequest") is not None
        assert 2.0 < call.at("Hangup") - call.at("BridgeEnter") < 9.0
        await phones.hangup(SPARE[0])
        await dialer.ended(leg)
        with pytest.raises(PhonesFailed):
            await phones.packets(SPARE[0])


@every_kind
async def test_a_phone_takes_a_new_call_for_the_end_of_the_old(
    carrier: Carrier, dialer: Dialer, kind: Kind
) -> None:
    """After a crash of Asterisk the phone still believes in its call; the next one must be answered."""
    async with phones_of(SPARE[1:], carrier, dialer, kind=kind):
        first = await log_in(dialer, SPARE[1])
        second = await log_in(dialer, SPARE[1])
        await dialer.ended(first)
        assert dialer.calls[second].find("Hangup") is None
        await dialer.hangup(second)
        await dialer.ended(second)


@every_kind
async def test_a_phone_that_loses_its_power_says_nothing(
    carrier: Carrier, dialer: Dialer, kind: Kind
) -> None:
    """No BYE comes: the leg ends when Asterisk has heard no voice for five seconds."""
    async with phones_of([LOST], carrier, dialer, kind=kind, apart=True) as phones:
        leg = await log_in(dialer, LOST)
        await phones.die(LOST)
        call = await dialer.ended(leg)
        hangup = call.find("Hangup")
        assert hangup is not None
        assert hangup["Cause"] == "44"


@every_kind
async def test_a_phone_hangs_up_leaves_and_comes_back(carrier: Carrier, dialer: Dialer, kind: Kind) -> None:
    """All by its own hand: a BYE, its contact taken back, and registered again. What is stopped has hung up
    and left; a customer's call, on the same carrier, goes on."""
    number = encode(Behaviour.HUMAN, detail=500).e164
    customer = await dialer.originate(f"PJSIP/{number}@carrier", Context="test", Exten="wait", Priority="1")
    async with phones_of(SPARE, carrier, dialer, kind=kind) as phones:
        leg, other = await asyncio.gather(*(log_in(dialer, user) for user in SPARE))
        await phones.hangup(SPARE[0])
        call = await dialer.ended(leg)
        assert call.find("HangupRequest") is not None
        await phones.unregister(SPARE[0])
        await until_registered(dialer, SPARE[1:])
        await phones.register(SPARE[0])
        await until_registered(dialer, SPARE)
        assert dialer.calls[other].find("Hangup") is None
    await dialer.ended(other)
    await until_registered(dialer, [])
    assert dialer.calls[customer].find("Hangup") is None
    await dialer.hangup(customer)
    await dialer.ended(customer)
    assert not any("phone" in number for number in carrier.invites())


async def until_registered(dialer: Dialer, users: list[str]) -> None:
    """Of the spare phones, exactly these come to be registered (no event of a call tells it: it is asked)."""
    async with asyncio.timeout(30):
        while True:
            said = await dialer.link.command("pjsip show contacts")
            if [user for user in SPARE if f"{user}/sip:" in said] == users:
                return
            await asyncio.sleep(0.1)


if "softphones" in KINDS:

    async def test_softphones_end_with_whoever_started_them(carrier: Carrier) -> None:
        """Killed without a chance to tidy up, their parent takes them along, though no registrar answers."""
        parent = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", PARENT, str(carrier.voices_dir / "agent.wav")),
            stdout=asyncio.subprocess.PIPE,
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
