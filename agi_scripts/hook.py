"""What the programs share: one question to the server by HTTP, and the dialplan told of the answer.

Whatever happens the call goes on, and DOZVON_STATUS says how it was: OK, NOT_FOUND, REFUSED, UNAVAILABLE. A
hook takes 2 s at most: the question runs in a thread that is left behind, so neither a name server nor a peer
that sends a byte a second holds the caller.

Where the server is, and the API token (of the scope `hooks`): the environment's DOZVON_HOOKS_URL and
DOZVON_HOOKS_TOKEN, else the file DOZVON_HOOKS_FILE (default /etc/asterisk/dozvon_hooks.conf) with lines
`url = ...` and `token = ...`, which nobody but its owner may read.
"""

from __future__ import annotations

import http.client
import io
import json
import os
import re
import signal
import ssl
import stat
import sys
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from asterisk.agi import AGI, AGIException

#: Of the 2 seconds what Python's start and end leave.
LIMIT_S = 1.7
MOST_BYTES = 65_536
FILE = "/etc/asterisk/dozvon_hooks.conf"
OK, NOT_FOUND, REFUSED, UNAVAILABLE = "OK", "NOT_FOUND", "REFUSED", "UNAVAILABLE"
#: pyst2 raises ValueError at the end of its input and for the line HANGUP.
ENDED = (AGIException, ValueError, IndexError, KeyError, OSError)
_VARIABLE = re.compile(r"DOZVON_[A-Z0-9_]{1,60}")
#: No quote, comma, bracket or dollar reaches the dialplan, whoever has answered.
_NOT_PLAIN = re.compile(r"[^\w .:@+/-]+")


class NotSet(Exception):
    """The address or the token is missing, or others can read the file."""


def settings() -> tuple[str, str]:
    """Address and token. Raises NotSet."""
    url, token = os.environ.get("DOZVON_HOOKS_URL"), os.environ.get("DOZVON_HOOKS_TOKEN")
    if url and token:
        return url, token
    path = os.environ.get("DOZVON_HOOKS_FILE", FILE)
    try:
        with Path(path).open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode) or mode & 0o077:
                raise NotSet(f"{path} must be a file of mode 0600")
            lines = [line.partition("=") for line in file.read(10_000).splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise NotSet(f"{path}: {error}") from error
    found = {name.strip(): value.strip() for name, _, value in lines if not name.lstrip().startswith("#")}
    try:
        return found["url"], found["token"]
    except KeyError as error:
        raise NotSet(f"{path} has no line {error}") from error


def post(hook: str, body: Mapping[str, Any], url: str, token: str) -> tuple[str, dict[str, str]]:
    """Ask the server once: the status and the variables it gave."""
    place = urlsplit(url)
    connection: http.client.HTTPConnection
    if place.scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(place.netloc, timeout=LIMIT_S, context=context)
    else:
        connection = http.client.HTTPConnection(place.netloc, timeout=LIMIT_S)
    try:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        path = f"{place.path.rstrip('/')}/api/v1/hooks/{hook}"
        connection.request("POST", path, json.dumps(body).encode(), headers)
        reply = connection.getresponse()
        if reply.status != 200:
            return (REFUSED if 400 <= reply.status < 500 else UNAVAILABLE), {}
        said = json.loads(reply.read(MOST_BYTES))
        told = {str(name): str(value) for name, value in said["variables"].items()}
        if said["status"] not in (OK, NOT_FOUND):
            return UNAVAILABLE, {}
        return said["status"], {**told, "DOZVON_CALL_TOKEN": str(said["call_token"])}
    finally:
        connection.close()


def ask(hook: str, body: Mapping[str, Any], until_s: float) -> tuple[str, dict[str, str]]:
    """As `post`, until that moment of the monotonic clock; whatever is wrong is a status."""
    done: list[tuple[str, dict[str, str]]] = []

    def work() -> None:
        try:
            done.append(post(hook, body, *settings()))
        except NotSet as error:
            print(f"dozvon: {error}", file=sys.stderr)
        except Exception as error:
            # Whatever an address or a reply can be: the call goes on. No text of it, which may hold a number.
            print(f"dozvon: {hook}: {type(error).__name__}", file=sys.stderr)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(max(0.0, until_s - time.monotonic()))
    return done[0] if done else (UNAVAILABLE, {})


def arguments(given: Sequence[str], names: Collection[str], numbers: Collection[str]) -> dict[str, Any]:
    """Fields of `name=value` arguments; what is empty was not given. Raises ValueError for another name, a
    number that is not digits, and what is too long."""
    found: dict[str, Any] = {}
    for one in given:
        name, _, value = one.partition("=")
        if not one:
            continue
        if name not in names or len(value) > 200:
            raise ValueError(name)
        if value and name in numbers:
            if not re.fullmatch(r"[0-9]{1,18}", value):
                raise ValueError(name)
            found[name] = int(value)
        elif value:
            found[name] = value.split("|") if name == "fields" else value
    return found


def run(hook: str, names: str, numbers: str = "") -> None:
    """Be the program of a hook: read Asterisk's environment and the arguments, ask, tell the dialplan.

    `names` are the arguments that it takes, of these `numbers` the ones that are numbers.
    """
    until_s = time.monotonic() + LIMIT_S
    cast(io.TextIOWrapper, sys.stdin).reconfigure(encoding="utf-8", errors="replace")
    cast(io.TextIOWrapper, sys.stdout).reconfigure(encoding="utf-8", errors="replace")
    # pyst2 writes numbers and tokens to stderr, which is Asterisk's console.
    agi = AGI(stderr=io.StringIO())
    # A caller who presses the key and hangs up has asked all the same.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    before = ""
    alive = _tell(agi, {"DOZVON_STATUS": UNAVAILABLE})
    if alive:
        try:
            before = agi.get_variable("DOZVON_CALL_TOKEN")
        except ENDED:
            alive = False
    caller = agi.env.get("agi_callerid", "")
    body = {
        "channel": agi.env.get("agi_uniqueid", ""),
        "caller": "" if caller == "unknown" else caller[:100],
        "call_token": before[:200],
    }
    try:
        takes = {"number", "check", *names.split()}
        said = arguments(sys.argv[1:], takes, {"check", *numbers.split()})
        if "check" in said:
            said["check"] = bool(said["check"])
        status, told = ask(hook, {**body, **said}, until_s)
    except ValueError as error:
        print(f"dozvon: {hook}: wrong argument {Path(str(error)).name[:30]}", file=sys.stderr)
        status, told = REFUSED, {}
    if alive:
        _tell(agi, {**told, "DOZVON_STATUS": status})


def _tell(agi: AGI, values: Mapping[str, str]) -> bool:
    """Set channel variables; False: the channel has ended."""
    try:
        for name, value in values.items():
            if _VARIABLE.fullmatch(name):
                agi.set_variable(name, _NOT_PLAIN.sub(" ", value)[:200])
    except ENDED:
        return False
    return True
