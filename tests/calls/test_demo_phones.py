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
from dialer.demo.phones import AgentPhones, Phone
from dialer.errors import PhonesFailed


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
