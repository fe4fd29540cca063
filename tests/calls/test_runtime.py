"""The program Asterisk under our hands: started, found again, told new phones, stopped."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.asterisk import RunningAsterisk, StartAsterisk, asterisk_folder, free_ports
from support.sip_phone import SipPhone

import asterisk_conf
from dialer.asterisk.ami import AmiEvent, AmiLink
from dialer.asterisk.config import AgentPhone, TrunkLine, ha1, render_managed
from dialer.asterisk.runtime import AsteriskBinary, AsteriskServer
from dialer.asterisk.speech import Espeak, Speaker
from dialer.debian.packages import version_numbers
from dialer.errors import AsteriskUnavailable, SettingsError
from dialer.settings import load

MARIA = AgentPhone("maria", ha1("maria", "correct horse"))
OLEG = AgentPhone("oleg", ha1("oleg", "battery staple"))
CARRIER = TrunkLine("carrier", "127.0.0.1", 9, user="dozvon-user", secret="s3cr#t", codecs=("alaw", "ulaw"))

#: Plays a file into a channel that records itself, and says how both went.
PLAY = """
#include extensions_dozvon.conf
[play]
exten => s,1,Answer()
 same => n,MixMonitor(${RECORDING})
 same => n,Playback(${FILE})
 same => n,StopMixMonitor()
 same => n,UserEvent(Played,Status: ${PLAYBACKSTATUS})
[listen]
exten => s,1,Answer()
 same => n,Wait(30)
"""


@asynccontextmanager
async def ami(running: RunningAsterisk) -> AsyncIterator[AmiLink]:
    link = AmiLink(running.ami)
    task = asyncio.create_task(link.run())
    try:
        await link.wait_up(10)
        yield link
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def phone_of(running: RunningAsterisk, password: str) -> AsyncIterator[SipPhone]:
    phone = SipPhone("maria", password, running.managed.sip_port)
    await phone.open()
    try:
        yield phone
    finally:
        phone.close()


async def event(link: AmiLink, name: str, **fields: str) -> AmiEvent:
    """The next event of that name with those fields."""
    return (await events(link, (name, fields)))[0]


async def events(link: AmiLink, *wanted: tuple[str, dict[str, str]]) -> list[AmiEvent]:
    """The next events of those names and fields, come in whatever order."""
    found: dict[int, AmiEvent] = {}
    async with asyncio.timeout(15):
        while len(found) < len(wanted):
            item = await link.inbox.get()
            if not isinstance(item, AmiEvent):
                continue
            for index, (name, fields) in enumerate(wanted):
                if item.name == name and all(item.get(key) == value for key, value in fields.items()):
                    found.setdefault(index, item)
    return [found[index] for index in range(len(wanted))]


def alive(pid: int) -> bool:
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_it_starts_with_every_module_and_says_nothing_wrong(
    asterisk_binary: AsteriskBinary, start_asterisk: StartAsterisk
) -> None:
    """Our Asterisk is 20 or later, runs each module of modules.conf, and has no error in its log."""
    running = await start_asterisk(agents=[MARIA], trunks=[CARRIER])
    assert version_numbers(asterisk_binary.version) >= (20,)
    assert asterisk_binary.version in await running.server.cli("core show version")
    wanted = re.findall(r"^load = (\S+)", (asterisk_conf.FOLDER / "modules.conf").read_text(), re.MULTILINE)
    shown = await running.server.cli("module show")
    state = {line.split()[0]: "Not Running" not in line for line in shown.splitlines() if ".so" in line}
    assert len(wanted) > 80
    assert [name for name in wanted if not state.get(name)] == []
    text = running.server.log_path.read_text()
    assert [line for line in text.splitlines() if "ERROR" in line or "WARNING" in line] == []


async def test_our_dialplan_is_loaded_and_no_other(start_asterisk: StartAsterisk) -> None:
    """The contexts of the contract are there; what a phone dials finds no extension, what comes in by a trunk
    only the way to the server."""
    running = await start_asterisk()
    shown = await running.server.cli("dialplan show")
    # Names that begin so are of modules, which nobody can dial into.
    contexts = {name for name in re.findall(r"Context '([^']+)'", shown) if not name.startswith("__")}
    assert contexts == {
        "dozvon-customer",
        "dozvon-agent",
        "dozvon-answered",
        "dozvon-browser",
        "dozvon-caller",
        "dozvon-check",
        "dozvon-held",
        "dozvon-inbound",
        "dozvon-keys",
        "dozvon-listen",
        "dozvon-closed",
        "dozvon-forward",
        "dozvon-message",
        "dozvon-room",
        "dozvon-survey",
        "dozvon-third",
    }
    assert "0 extensions" in (await running.server.cli("dialplan show dozvon-closed")).replace("-= ", "")
    inbound = await running.server.cli("dialplan show dozvon-inbound")
    assert set(re.findall(r"(\w+\([^)]*\)) ", inbound)) == {
        "Set(DOZVON_DID=${EXTEN})",
        "Goto(dozvon-caller,s,1)",
    }


async def test_phones_and_trunks_come_from_the_generated_files(start_asterisk: StartAsterisk) -> None:
    """An agent's phone and a trunk are endpoints with the limits of their templates."""
    running = await start_asterisk(agents=[MARIA], trunks=[CARRIER], browsers=["dozvon-web-7"])
    phone = await running.server.cli("pjsip show endpoint maria")
    assert re.search(r"rtp_timeout\s+: 5\n", phone)
    assert re.search(r"direct_media\s+: false", phone)
    assert re.search(r"context\s+: dozvon-closed", phone)
    browser = await running.server.cli("pjsip show endpoint dozvon-web-7")
    assert re.search(r"webrtc\s+: yes", browser)
    assert re.search(r"rtp_timeout\s+: 20\n", browser)
    assert re.search(r"rtp_keepalive\s+: 2\n", phone)
    assert re.search(r"rtp_keepalive\s+: 0\n", browser)
    trunk = await running.server.cli("pjsip show endpoint carrier")
    assert re.search(r"allow\s+: \(alaw\|ulaw\)", trunk)
    assert "carrier-auth/dozvon-user" in trunk
    assert "sip:127.0.0.1:9" in trunk
    assert "s3cr#t" in await running.server.cli("pjsip show auth carrier-auth")


async def test_a_phone_registers_by_its_hash_and_the_manager_hears_of_it(
    start_asterisk: StartAsterisk,
) -> None:
    """HA1 is enough to check a password; ContactStatus tells of coming and going."""
    running = await start_asterisk(agents=[MARIA], trunks=[CARRIER])
    async with phone_of(running, "correct horse") as phone, ami(running) as link:
        assert await phone.register() == 200
        reachable = await event(link, "ContactStatus", ContactStatus="Reachable", AOR="maria")
        assert int(reachable["RoundtripUsec"]) > 0  # it was asked by OPTIONS
        assert await phone.register(expires_s=0) == 200
        await event(link, "ContactStatus", ContactStatus="Removed", AOR="maria")


async def test_a_wrong_password_is_refused_and_written_down(start_asterisk: StartAsterisk) -> None:
    """A phone with a wrong password is not registered, and the security log names its address."""
    running = await start_asterisk(agents=[MARIA])
    async with phone_of(running, "wrong horse") as phone:
        assert await phone.register() in (401, 403)
    assert "No objects found" in await running.server.cli("pjsip list contacts")
    security = (running.server.run_dir / "log/security.log").read_text()
    assert 'SecurityEvent="ChallengeResponseFailed"' in security
    assert f"127.0.0.1/{phone.port}" in security


async def test_a_new_agent_needs_no_restart(start_asterisk: StartAsterisk) -> None:
    """Written anew and reloaded, a phone is added and another taken away; a registered one stays."""
    running = await start_asterisk(agents=[MARIA])
    files = render_managed(running.managed, [MARIA, OLEG], [CARRIER])
    async with phone_of(running, "correct horse") as phone, ami(running) as link:
        assert await phone.register() == 200
        assert running.server.write_generated(files)
        assert not running.server.write_generated(files)
        await link.command("module reload res_pjsip.so")
        await event(link, "Reload", Module="res_pjsip.so")
        assert "battery" not in await running.server.cli("pjsip show endpoint oleg")
        assert re.search(r"Endpoint:\s+oleg", await running.server.cli("pjsip show endpoints"))
        assert f":{phone.port}" in await running.server.cli("pjsip show aor maria")
        running.server.write_generated(render_managed(running.managed, [MARIA], []))
        await link.command("module reload res_pjsip.so")
        await event(link, "Reload", Module="res_pjsip.so")
    endpoints = await running.server.cli("pjsip show endpoints")
    assert "maria" in endpoints
    assert "oleg" not in endpoints
    assert "carrier" not in endpoints


async def test_spoken_text_is_played_and_recorded(start_asterisk: StartAsterisk, tmp_path: Path) -> None:
    """A text becomes a file that Asterisk plays to its end, and the recording of it has its length."""
    running = await start_asterisk(conf={"extensions.conf": PLAY})
    message, recording = tmp_path / "message.wav", tmp_path / "recording.wav"
    speaker = Speaker(Espeak(load().packages_dir), tmp_path / "speech")
    length_s = await speaker.speak("Вам звонила компания Ромашка.", "ru", message)
    with wave.open(str(message)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
    async with ami(running) as link:
        await link.send(
            {
                "Action": "Originate",
                "Channel": "Local/s@listen",
                "Context": "play",
                "Exten": "s",
                "Priority": "1",
                "Async": "true",
                "Variable": [f"FILE={message.with_suffix('')}", f"RECORDING={recording}"],
            }
        )
        played = await event(link, "UserEvent", UserEvent="Played")
    assert played["Status"] == "SUCCESS"
    with wave.open(str(recording)) as file:
        assert file.getnframes() / 8000 == pytest.approx(length_s, abs=0.3)


async def test_the_waiting_bridge_and_the_hold_music_are_there(start_asterisk: StartAsterisk) -> None:
    """The agent's context holds a leg in a bridge of its own; the music class has our file."""
    running = await start_asterisk(conf={"extensions.conf": PLAY})
    async with ami(running) as link:
        await link.send(
            {
                "Action": "Originate",
                "Channel": "Local/s@listen",
                "Context": "dozvon-agent",
                "Exten": "s",
                "Priority": "1",
                "Async": "true",
            }
        )
        entered = await event(link, "BridgeEnter", BridgeTechnology="holding_bridge")
    assert entered["BridgeNumChannels"] == "1"
    assert "moh/dozvon" in await running.server.cli("moh show files")


async def test_a_running_one_is_adopted(
    start_asterisk: StartAsterisk, asterisk_binary: AsteriskBinary
) -> None:
    """A new server finds the Asterisk of the one before, gives it the new phones, and can stop it."""
    first = await start_asterisk(agents=[MARIA])
    pid = first.server.pid
    assert pid is not None
    second = AsteriskServer(
        asterisk_binary,
        first.server.run_dir,
        [asterisk_conf.FOLDER],
        render_managed(first.managed, [MARIA, OLEG], []),
        listens=first.managed,
    )
    assert await second.start() is True
    assert second.pid == pid
    assert "oleg" in await second.cli("pjsip show endpoints")
    await second.stop()
    assert not alive(pid)
    assert first.server.pid is None


async def test_it_outlives_a_killed_server(asterisk_binary: AsteriskBinary) -> None:
    """kill -9 of the process that started it, and of its whole group, leaves Asterisk running."""
    program = """
import asyncio, os, signal, sys
from pathlib import Path
import asterisk_conf
from dialer.asterisk.config import ManagedAsterisk, render_managed
from dialer.asterisk.runtime import AsteriskServer, find_asterisk
from dialer.settings import load

async def main():
    managed = ManagedAsterisk(*map(eval, sys.argv[2:]))
    binary = await find_asterisk(load().packages_dir)
    generated = render_managed(managed, [], [])
    server = AsteriskServer(binary, Path(sys.argv[1]), [asterisk_conf.FOLDER], generated)
    await server.start()
    print(server.pid, flush=True)
    os.killpg(0, signal.SIGKILL)

asyncio.run(main())
"""
    managed = free_ports()
    values = [repr(getattr(managed, name)) for name in managed.__slots__]
    with asterisk_folder() as folder:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            program,
            str(folder / "run"),
            *values,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        out, _ = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == -signal.SIGKILL
        pid = int(out.split()[-1])
        server = AsteriskServer(
            asterisk_binary, folder / "run", [asterisk_conf.FOLDER], render_managed(managed, [], [])
        )
        assert server.pid == pid
        assert await server.start() is True
        await server.stop()
        assert not alive(pid)


async def test_two_run_side_by_side(start_asterisk: StartAsterisk) -> None:
    """Two with a folder and ports each do not meet: each has its own phones, one stops alone."""
    one = await start_asterisk(agents=[MARIA])
    two = await start_asterisk(agents=[OLEG])
    assert one.server.pid != two.server.pid
    await one.server.stop()
    endpoints = await two.server.cli("pjsip show endpoints")
    assert "oleg" in endpoints
    assert "maria" not in endpoints


async def test_stop_leaves_nothing_and_start_begins_anew(start_asterisk: StartAsterisk) -> None:
    """After a stop the process is gone, and a second stop does nothing; then it starts again."""
    running = await start_asterisk()
    pid = running.server.pid
    assert pid is not None
    await running.server.stop()
    assert not alive(pid)
    await running.server.stop()
    with pytest.raises(AsteriskUnavailable):
        await running.server.cli("core show version")
    assert await running.server.start() is False
    assert running.server.pid != pid


async def test_a_hanging_one_is_killed_at_the_deadline(start_asterisk: StartAsterisk) -> None:
    """An Asterisk that does not answer is killed when its time is over."""
    running = await start_asterisk()
    pid = running.server.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    await running.server.stop(deadline_s=0.5)
    assert not alive(pid)


async def test_a_pid_file_of_a_stranger_is_not_believed(start_asterisk: StartAsterisk) -> None:
    """The number in a stale pid file is another program's by now: it is neither adopted nor stopped."""
    running = await start_asterisk()
    await running.server.stop()
    (running.server.run_dir / "run/asterisk.pid").write_text(f"{os.getpid()}\n")
    assert running.server.pid is None
    await running.server.stop()
    assert await running.server.start() is False
    assert running.server.pid not in (None, os.getpid())


async def test_a_taken_port_is_named(start_asterisk: StartAsterisk, asterisk_binary: AsteriskBinary) -> None:
    """A second Asterisk on the ports of the first does not start; the message names the setting."""
    first = await start_asterisk()
    with asterisk_folder() as folder:
        second = AsteriskServer(
            asterisk_binary,
            folder / "run",
            [asterisk_conf.FOLDER],
            render_managed(first.managed, [], []),
            listens=first.managed,
        )
        with pytest.raises(SettingsError, match="DOZVON_AMI_PORT"):
            await second.start()


async def test_a_broken_configuration_is_told_from_its_log(start_asterisk: StartAsterisk) -> None:
    """An Asterisk that ends at once gives an error with its last words, well before the deadline."""
    with pytest.raises(AsteriskUnavailable, match="EXITING"):
        await start_asterisk(conf={"modules.conf": "[modules]\nautoload = no\nrequire = res_none.so\n"})
