"""Kamailio with the configuration that docs/scaling.md gives, before real Asterisk servers."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from socket import SOCK_DGRAM

import pytest
from support.asterisk import RunningAsterisk, StartAsterisk
from support.sip_phone import SipPhone

from dialer.asterisk.config import AgentPhone, TrunkLine, ha1
from dialer.asterisk.runtime import AsteriskBinary
from dialer.asterisk.speech import Speaker
from dialer.bench.cluster.kamailio import Kamailio
from dialer.bench.load import sipp
from dialer.bench.site_parts import until
from dialer.demo.carrier import Carrier
from dialer.demo.phones import AgentPhones, Phone
from dialer.ports import free_port
from dialer.settings import load

USERS = tuple(f"phone-{number}" for number in range(8))
PASSWORD = "test-phone-password"  # of phones on loopback, for the length of a test
CALLER = Path(__file__).with_name("caller.xml")
#: What comes in is answered and held: routes of incoming calls are not this test's.
ANSWERS = """
[dozvon-inbound]
exten => _X.,1,Answer()
 same => n,Wait(60)
"""
#: Until a node that has died is left out: two OPTIONS of two seconds, and the time between them.
LEFT_OUT_S = 8.0


@dataclass(slots=True)
class Site:
    """Asterisk servers behind one Kamailio."""

    kamailio: Kamailio
    nodes: dict[str, RunningAsterisk]
    folder: Path
    #: a folder with a short name
    short: Path

    async def calls(self, count: int, *, timeout_s: int = 30) -> dict[str, int]:
        """So many calls from a carrier, all of which must be answered; how many each living node got."""
        before = await self.counts()
        argv = await sipp.find(load().packages_dir)
        process = await asyncio.create_subprocess_exec(
            *argv,
            *("-sf", str(CALLER), "-m", str(count), "-r", "20", "-s", "74951234567", "-nostdin"),
            *("-i", "127.0.0.1", "-p", str(free_port(SOCK_DGRAM)), "-timeout", f"{timeout_s}s"),
            *("-timeout_error", self.kamailio.address),
            cwd=self.folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        assert process.returncode == 0, said.decode(errors="replace")[-2000:]
        after = await self.counts()
        return {node: after[node] - before[node] for node in after}

    async def counts(self) -> dict[str, int]:
        """Calls that each living node has ever had."""
        found = {}
        for address, node in self.nodes.items():
            if node.server.pid is not None:
                said = await node.server.cli("core show channels count")
                processed = re.search(r"(\d+) calls? processed", said)
                assert processed, said
                found[address] = int(processed[1])
        return found

    async def contacts(self) -> dict[str, list[str]]:
        """Which phones each living node knows to be there: it has asked them by OPTIONS."""
        found = {}
        for address, node in self.nodes.items():
            if node.server.pid is not None:
                said = await node.server.cli("pjsip show contacts")
                found[address] = re.findall(r"Contact:\s+(phone-\d+)/\S+\s+\w+\s+Avail", said)
        return found

    async def kill(self, address: str) -> None:
        """A power cut of one node."""
        pid = self.nodes[address].server.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

        async def gone() -> bool:
            return self.nodes[address].server.pid is None

        await until("the node is gone", gone, 10)

    async def until_state(self, address: str, flags: str, within_s: float) -> None:
        """Until Kamailio thinks so of a node."""

        async def thinks() -> bool:
            return (await self.kamailio.states()).get(address) == flags

        await until(f"{address} is {flags}", thinks, within_s)


@pytest.fixture
async def site(start_asterisk: StartAsterisk, tmp_path: Path) -> AsyncIterator[Site]:
    """Two nodes that know the same phones, behind one Kamailio."""
    port = free_port(SOCK_DGRAM)
    phones = [AgentPhone(user, ha1(user, PASSWORD)) for user in USERS]
    nodes = await asyncio.gather(
        *(
            start_asterisk(
                agents=phones,
                trunks=[TrunkLine("edge", "127.0.0.1", port=port)],
                conf={"extensions.conf": ANSWERS},
            )
            for _ in range(2)
        )
    )
    by_address = {f"127.0.0.1:{node.managed.sip_port}": node for node in nodes}
    async with Kamailio.open(load().packages_dir, list(by_address), print, port=port) as kamailio:
        site = Site(kamailio, by_address, tmp_path, nodes[0].server.run_dir.parent)
        for address in by_address:
            await site.until_state(address, "AP", 20)
        yield site


async def test_calls_are_spread_and_a_dead_node_is_left_out(site: Site) -> None:
    """Calls that come in go to the nodes in turn; a drained one gets none, and one that died costs no call:
    before that is known each goes to the next node, and within seconds it is not asked any more."""
    one, two = site.nodes
    assert await site.calls(20) == {one: 10, two: 10}

    await site.kamailio.drain(one)
    assert await site.calls(6) == {one: 0, two: 6}
    await site.kamailio.undrain(one)
    await site.until_state(one, "AP", 10)

    await site.kill(two)
    assert await site.calls(6) == {one: 6}
    await site.until_state(two, "IP", LEFT_OUT_S * _patience())
    assert await site.calls(6) == {one: 6}

    await site.nodes[two].server.start()
    await site.until_state(two, "AP", 20)
    assert await site.calls(6) == {one: 3, two: 3}


async def test_a_phone_has_one_node_and_moves_when_it_dies(site: Site) -> None:
    """Each phone registers at one node, by the same one each time, and is reached through Kamailio; when its
    node dies its next registration is at the other."""
    phones = [SipPhone(user, PASSWORD, site.kamailio.port) for user in USERS]
    for phone in phones:
        await phone.open()
    try:
        assert await _register(phones) == [200] * len(phones)
        homes = await _homes(site, USERS)
        assert all(homes.values()), "a hash of eight names uses both nodes"
        assert [phone.asked_by for phone in phones] == [{site.kamailio.port}] * len(phones)
        assert await _register(phones) == [200] * len(phones)
        assert await _homes(site, USERS) == homes

        one, two = site.nodes
        await site.kill(two)
        await site.until_state(two, "IP", LEFT_OUT_S * _patience())
        assert await _register(phones) == [200] * len(phones)
        assert await _homes(site, USERS) == {one: set(USERS)}
    finally:
        for phone in phones:
            phone.close()


async def test_a_phone_is_called_through_kamailio(site: Site, asterisk_binary: AsteriskBinary) -> None:
    """The node that has a phone calls it by Kamailio, and the end of the call finds the phone too."""
    carrier = Carrier(asterisk_binary, site.short / "carrier", Speaker.of(load()).speak)
    phones = AgentPhones(
        [Phone(USERS[0], PASSWORD)], registrar=site.kamailio.address, carrier=carrier, kind="carrier"
    )
    await carrier.start()
    try:
        await phones.start()
        await phones.wait_registered()
        homes = await _homes(site, USERS[:1])
        node = site.nodes[next(address for address, users in homes.items() if users)]
        home = node.server

        async def channels(count: int) -> bool:
            said = [await home.cli("core show channels count"), await carrier.cli("core show channels count")]
            return all(f"{count} active channel" in one for one in said)

        await _originate(node, f"PJSIP/{USERS[0]}")
        await until("both have the call", lambda: channels(1), 10 * _patience())
        await home.cli("channel request hangup all")
        await until("neither has it", lambda: channels(0), 10 * _patience())
    finally:
        await phones.stop()
        await carrier.stop()


async def _originate(node: RunningAsterisk, channel: str) -> None:
    """Ask a node to call, by its manager interface, and wait for its word that it was asked."""
    reader, writer = await asyncio.open_connection(node.ami.host, node.ami.port)
    actions = (
        f"Action: Login\r\nUsername: {node.ami.user}\r\nSecret: {node.ami.secret}\r\nEvents: off\r\n\r\n"
        f"Action: Originate\r\nChannel: {channel}\r\nApplication: Wait\r\nData: 60\r\nAsync: true\r\n\r\n"
    )
    writer.write(actions.encode())
    async with asyncio.timeout(10):
        await reader.readuntil(b"successfully queued")
    writer.close()


async def _register(phones: Sequence[SipPhone]) -> list[int]:
    return [await phone.register() for phone in phones]


async def _homes(site: Site, users: Sequence[str]) -> dict[str, set[str]]:
    """At which node each phone is, once all are there."""

    async def known() -> dict[str, set[str]] | None:
        found = {address: set(names) for address, names in (await site.contacts()).items()}
        return found if set().union(*found.values()) == set(users) else None

    found: dict[str, set[str]] = await until("all phones are reached", known, 10 * _patience())
    assert sum(map(len, found.values())) == len(users)
    return found


def _patience() -> float:
    """Others may keep the machine busy."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
