"""The programs of agi_scripts/ with an Asterisk of our own at their pipes and every kind of server behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

import agi_scripts
from dialer.hooks.fields import FIELDS
from dialer.hooks.model import Hook
from dialer.ports import free_port

FOLDER = Path(agi_scripts.__file__).parent
SCRIPTS = {
    "lookup": [], "opt_out": [], "callback": ["campaign=1"], "outcome": ["outcome=sold"], "route": [],
    "consent": ["purpose=any"], "survey_answer": ["survey=s", "question=1", "answer=5"],
}  # fmt: skip
#: What a program says of the call by itself.
OF_THE_CALL = {"channel", "caller", "call_token"}
#: A server, told apart by what it does with a connection.
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
GOOD = {"status": "OK", "call_token": "1.2.abc", "variables": {"DOZVON_CONTACT": "7"}}
#: All of a hook, seconds: a loaded machine starts Python late.
MOST_S = 2.0
START_S = 3.0


@dataclass
class Ran:
    """What a program did."""

    #: variables that the dialplan has now
    variables: dict[str, str] = field(default_factory=dict)
    #: from the end of the environment to the end of the program
    took_s: float = 0.0
    status: int | None = None
    errors: str = ""


async def read_request(reader: asyncio.StreamReader) -> tuple[str, Any]:
    """Head and body of what a program asks."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(one.split(b":")[1]) for one in head.split(b"\r\n") if one.lower().startswith(b"content-length")
    )
    return head.decode(), json.loads(await reader.readexactly(length))


def as_http(answer: dict[str, Any]) -> bytes:
    """An answer of the server's that is well."""
    body = json.dumps(answer).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def reply_with(status: str, body: bytes) -> Answer:
    """A server that answers everything so."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nContent-Type: application/json\r\n\r\n"
        writer.write(head.encode() + body)

    return answer


async def say_nothing(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Read until the peer goes."""
    await reader.read()


async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A byte now and then, so that no read ever waits long."""
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b" " * 1000:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.1)  # a slow peer is what is tested


async def garbage(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """No HTTP."""
    writer.write(os.urandom(5000))


async def close_at_once(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Neither."""


@contextlib.asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[str]:
    """The address of such a server."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await answer(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def run(
    script: str,
    url: str,
    *arguments: str,
    said: dict[str, str] | None = None,
    env: dict[str, str] | None = None,
    environment: bytes = b"agi_uniqueid: 17.1\nagi_callerid: 79161230001\n\n",
    hang_up_at: int | None = None,
    python: tuple[str, ...] = (sys.executable,),
    folder: Path = FOLDER,
) -> Ran:
    """Run a program as Asterisk does; `hang_up_at`: the channel ends before that command is answered."""
    set_env = {"DOZVON_HOOKS_URL": url, "DOZVON_HOOKS_TOKEN": "t"} if env is None else env
    process = await asyncio.create_subprocess_exec(
        *python, str(folder / f"{script}.py"), *arguments,
        stdin=PIPE, stdout=PIPE, stderr=PIPE, env={"PATH": os.environ["PATH"], **set_env}, cwd="/",
    )  # fmt: skip
    assert process.stdin and process.stdout and process.stderr
    ran, asked = Ran(), 0
    process.stdin.write(environment)
    async with asyncio.timeout(MOST_S + START_S + 5):
        line = await process.stdout.readline()
        began = time.monotonic()
        while line:
            if asked == hang_up_at:
                process.send_signal(signal.SIGHUP)
                process.stdin.write(b"HANGUP\n")
                process.stdin.close()
                hang_up_at = -1
            if hang_up_at is None or asked < hang_up_at:
                process.stdin.write(_answer(line.decode(), ran.variables, said or {}))
            asked += 1
            line = await process.stdout.readline()
        ran.errors = (await process.stderr.read()).decode()
        ran.status = await process.wait()
    ran.took_s = time.monotonic() - began
    return ran


async def run_in_time(script: str, url: str, *arguments: str, **how: Any) -> Ran:
    """As `run`, once more where a busy machine has started Python too late to wait for the server."""
    for _ in range(20):
        ran = await run(script, url, *arguments, **how)
        if (ran.variables, ran.errors) != ({"DOZVON_STATUS": "UNAVAILABLE"}, ""):
            break
    return ran


def _answer(line: str, variables: dict[str, str], said: dict[str, str]) -> bytes:
    words = line.strip().split(" ", 3)
    name = words[2].strip('"')
    if words[0] == "SET":
        variables[name] = words[3].strip('"')
        return b"200 result=1\n"
    return f"200 result=1 ({said[name]})\n".encode() if name in said else b"200 result=0\n"


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.py")), ids=lambda file: file.stem)
def test_each_file_is_short(file: Path) -> None:
    """The programs, and what they share."""
    assert file.read_text().count("\n") < 100


@pytest.mark.parametrize("script", SCRIPTS)
async def test_each_program_tells_its_line(script: str) -> None:
    """Its own dialplan line stands in it."""
    text = (FOLDER / f"{script}.py").read_text()
    assert f"same => n,AGI(agi_scripts/{script}.py" in text
    assert os.access(FOLDER / f"{script}.py", os.X_OK)


@pytest.mark.parametrize("script", SCRIPTS)
async def test_each_program_asks_and_tells_the_dialplan(script: str) -> None:
    """The call, its call token and the arguments go out; the variables, the next token and OK come back."""
    heard: list[tuple[str, Any]] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await read_request(reader))
        writer.write(as_http(GOOD))

    async with serving(answer) as url:
        ran = await run(script, url, *SCRIPTS[script], "number=", said={"DOZVON_CALL_TOKEN": "1.1.before"})
    ((head, body),) = heard
    assert f"POST /api/v1/hooks/{script.replace('_', '-')} " in head and "Authorization: Bearer t\r\n" in head
    texts = dict(one.split("=") for one in SCRIPTS[script])
    given = {name: int(value) if name == "campaign" else value for name, value in texts.items()}
    assert body == {"channel": "17.1", "caller": "79161230001", "call_token": "1.1.before", **given}
    assert ran.variables == {"DOZVON_STATUS": "OK", "DOZVON_CALL_TOKEN": "1.2.abc", "DOZVON_CONTACT": "7"}


async def test_a_package_beside_the_programs_is_enough(tmp_path: Path) -> None:
    """As docs/how-to/hooks.md installs them: pyst2 in the AGI folder itself, and a Python that has none."""
    place = Path(str(metadata.distribution("pyst2").locate_file("")))
    for name in ("asterisk", "six.py"):
        copy = shutil.copytree if (place / name).is_dir() else shutil.copy
        copy(place / name, tmp_path / name)
    shutil.copytree(FOLDER, tmp_path / "agi_scripts")
    bare = (sys.executable, "-S")
    async with serving(reply_with("200 OK", json.dumps(GOOD).encode())) as url:
        ran = await run_in_time("lookup", url, python=bare, folder=tmp_path / "agi_scripts")
    # A package that is missing leaves no status, and a traceback.
    assert (ran.variables.get("DOZVON_STATUS"), ran.errors) == ("OK", "")


async def test_what_is_no_argument_is_left_out() -> None:
    """A dialplan's own ARG2, and what stands behind a comma of a text: the rest is asked all the same."""
    heard: list[Any] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append((await read_request(reader))[1])
        writer.write(as_http(GOOD))

    async with serving(answer) as url:
        ran = await run_in_time("opt_out", url, "reason=tired", " of calls", "PJSIP/101", "")
    assert ran.variables["DOZVON_STATUS"] == "OK"
    assert (heard[-1]["reason"], set(heard[-1])) == ("tired", {*OF_THE_CALL, "reason"})


@pytest.mark.parametrize("script", SCRIPTS)
async def test_each_program_takes_what_the_server_takes(script: str) -> None:
    """Every argument of the hook goes out: whoever changes from FastAGI to programs changes no argument."""
    heard: list[set[str]] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(set((await read_request(reader))[1]))
        writer.write(as_http(GOOD))

    takes = set(FIELDS[Hook(script.replace("_", "-"))].model_fields)
    async with serving(answer) as url:
        ran = await run(script, url, *(f"{name}=1" for name in takes - OF_THE_CALL))
    assert (ran.variables["DOZVON_STATUS"], ran.errors) == ("OK", "")
    assert heard == [takes]


NOT_HTTP = {"nothing": say_nothing, "drip": drip, "garbage": garbage, "closed": close_at_once}
BAD = {
    **NOT_HTTP,
    "500": reply_with("500 Oops", b"{}"),
    "302": reply_with("302 Found", b""),
    "no json": reply_with("200 OK", b"<html>"),
    "other json": reply_with("200 OK", b"[1, 2]"),
    "another status": reply_with("200 OK", b'{"status": "FINE", "call_token": "", "variables": {}}'),
    "huge": reply_with("200 OK", b" " * 3_000_000),
}


@pytest.mark.parametrize("how", BAD)
async def test_a_server_that_is_ill_costs_two_seconds_at_most(how: str) -> None:
    """The dialplan goes on with UNAVAILABLE, whatever the server does."""
    async with serving(BAD[how]) as url:
        ran = await run("lookup", url)
    assert (ran.variables, ran.status) == ({"DOZVON_STATUS": "UNAVAILABLE"}, 0)
    assert ran.took_s < MOST_S


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:{port}", "http://no.such.invalid", "ftp://x", "", "http://[::"],
)
async def test_a_server_that_is_away_costs_two_seconds_at_most(url: str) -> None:
    """Refused, without a name, or no address at all."""
    ran = await run(
        "opt_out",
        "",
        env={"DOZVON_HOOKS_URL": url.format(port=free_port()) or "x", "DOZVON_HOOKS_TOKEN": "t"},
    )
    assert (ran.variables, ran.status) == ({"DOZVON_STATUS": "UNAVAILABLE"}, 0)
    assert ran.took_s < MOST_S


@pytest.mark.parametrize("status", ["401 No", "403 No", "404 No", "422 No", "429 Slowly"])
async def test_what_the_server_refuses_is_refused(status: str) -> None:
    """A wrong token, a wrong argument, too many."""
    async with serving(reply_with(status, b"{}")) as url:
        ran = await run("opt_out", url)
    assert ran.variables == {"DOZVON_STATUS": "REFUSED"}


@pytest.mark.parametrize(
    "argument",
    ["campaign=x1", "campaign=1;2", "colour=red", "note=" + "x" * 201, "campaign=" + "1" * 19],
)
async def test_an_argument_that_is_none_is_refused_unasked(argument: str) -> None:
    """Digits are digits, texts are short, names are known; nothing goes out."""
    asked = False

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked = True
        writer.write(as_http(GOOD))

    async with serving(answer) as url:
        ran = await run("callback", url, argument)
    assert (ran.variables, asked) == ({"DOZVON_STATUS": "REFUSED"}, False)


async def test_what_an_answer_says_is_no_dialplan() -> None:
    """Names that are not ours are not set, and values hold nothing that Asterisk would read."""
    told = {"DOZVON_LAST_NAME": 'О"Н${SHELL(x)},\n|б', "PATH": "x", "DOZVON_a": "x"}
    async with serving(reply_with("200 OK", json.dumps({**GOOD, "variables": told}).encode())) as url:
        ran = await run("lookup", url)
    assert ran.variables == {
        "DOZVON_STATUS": "OK", "DOZVON_CALL_TOKEN": "1.2.abc", "DOZVON_LAST_NAME": "О Н SHELL x б",
    }  # fmt: skip


@pytest.mark.parametrize("at", [0, 1, 2, 3, 4])
async def test_a_caller_who_has_hung_up_is_heard_all_the_same(at: int) -> None:
    """Wherever the channel ends, the hook is asked and the program ends by itself."""
    asked = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reply_with("200 OK", json.dumps(GOOD).encode())(reader, writer)

    async with serving(answer) as url:
        ran = await run("opt_out", url, hang_up_at=at)
    assert asked.is_set()
    assert (ran.status, ran.errors) == (0, "")


@pytest.mark.parametrize("environment", [b"", b"agi_uniqueid\n\n", b"\xff\xfe: \xff\n\n", b"\n"])
async def test_an_environment_that_is_none_breaks_nothing(environment: bytes) -> None:
    """A program that is run by hand, or by something else, ends."""
    async with serving(reply_with("422 No", b"{}")) as url:
        ran = await run("lookup", url, environment=environment or b"\n")
    assert (ran.status, ran.variables) == (0, {"DOZVON_STATUS": "REFUSED"})


@pytest.mark.parametrize(
    ("mode", "status"), [(0o600, "OK"), (0o400, "OK"), (0o640, "UNAVAILABLE"), (0o604, "UNAVAILABLE")]
)
async def test_the_file_with_the_token_is_its_owners_alone(tmp_path: Path, mode: int, status: str) -> None:
    """A file that others can read is not used."""
    file = tmp_path / "hooks.conf"
    async with serving(reply_with("200 OK", json.dumps(GOOD).encode())) as url:
        file.write_text(f"# Dozvon\nurl = {url}\ntoken = t\n")
        file.chmod(mode)
        ran = await run("lookup", "", env={"DOZVON_HOOKS_FILE": str(file)})
    assert ran.variables["DOZVON_STATUS"] == status


async def test_without_a_token_the_call_goes_on(tmp_path: Path) -> None:
    """No file, or one without a token."""
    file = tmp_path / "hooks.conf"
    file.write_text("url = http://127.0.0.1:1\n")
    file.chmod(0o600)
    for path in (file, tmp_path / "none"):
        ran = await run("lookup", "", env={"DOZVON_HOOKS_FILE": str(path)})
        assert ran.variables == {"DOZVON_STATUS": "UNAVAILABLE"}
        assert "79161230001" not in ran.errors
