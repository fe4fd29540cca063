"""The browser as a phone behind a firewall: its voice goes by a real TURN server, with a password of ours."""

from __future__ import annotations

import asyncio
import signal
import socket
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, expect
from pydantic import SecretStr
from support.browser_phone import at_browser, desks, ear, human, tone_share, until_voice, voice
from support.centre import Centre
from support.talks import grown

from dialer.agents.model import AgentState
from dialer.debian.packages import PackageSet, unpack
from dialer.ports import free_port, own_address, taken
from dialer.settings import load

COTURN = PackageSet("coturn", ("coturn",), "host", "install coturn by your system's own means")
SECRET = "shared-with-the-turn-server"
START_S = 20.0


@asynccontextmanager
async def coturn(folder: Path) -> AsyncIterator[tuple[str, Process]]:
    """A TURN server that knows the secret: where it is, and its process."""
    port, relayed = free_port(), free_port(socket.SOCK_DGRAM)
    log = folder / "coturn.log"
    argv = [
        *unpack(COTURN, load().packages_dir).argv("usr/bin/turnserver"),
        *("-n", "--no-cli", "--no-tls", "--no-dtls", "--simple-log", "--log-file", "stdout"),
        *("--listening-ip", "127.0.0.1", "--listening-port", str(port), "--relay-ip", own_address()),
        *("--min-port", str(relayed), "--max-port", str(relayed + 9), "--realm", "dozvon"),
        *("--use-auth-secret", "--static-auth-secret", SECRET, "--allow-loopback-peers"),
        *("--userdb", str(folder / "turndb"), "--pidfile", str(folder / "turn.pid")),
    ]
    with log.open("wb") as said:
        process = await asyncio.create_subprocess_exec(*argv, stdout=said, stderr=said, cwd=folder)
    try:
        async with asyncio.timeout(START_S):
            while not taken(port):
                assert process.returncode is None, log.read_text()
                await asyncio.sleep(0.05)
        yield f"turn:127.0.0.1:{port}?transport=tcp", process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        await process.wait()


async def test_voice_goes_by_a_turn_server(
    _frontend: None, centre: Centre, talking: Browser, tmp_path: Path
) -> None:
    """A browser that can send no UDP to Asterisk talks by the TURN server of the settings, which takes the
    password that the server has made. When nothing comes by it the page says that the connection is bad, and
    when it comes again, that it is good."""
    async with (
        coturn(tmp_path) as (url, process),
        desks(centre, talking, turn_url=url, turn_secret=SecretStr(SECRET)) as desk,
    ):
        person, agent_id = await at_browser(centre, desk, relay=True)
        await centre.campaign([human()])
        await centre.until_agent(agent_id, AgentState.TALKING)
        heard = await ear(centre)
        await until_voice(centre, person.page, sent=50, received=50, said=0.001, heard=0.001)
        assert (await voice(person.page))["way"] == "relay"
        assert tone_share(heard, *await grown(centre, heard, 2)) > 0.8
        sign = person.page.locator("#phone-link")
        await expect(sign).to_have_text("good connection")
        process.send_signal(signal.SIGSTOP)
        await expect(sign).to_have_text("bad connection")
        process.send_signal(signal.SIGCONT)
        await expect(sign).to_have_text("good connection", timeout=30_000)
        await centre.until_agent(agent_id, AgentState.TALKING)
