"""What the programs share: their arguments, one question to the server, and the dialplan told of the answer.

Whatever happens the call goes on, and DOZVON_STATUS says how it was: OK, NOT_FOUND, REFUSED, UNAVAILABLE. A
hook takes 2 s at most.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from agi_scripts.channel import Channel
from agi_scripts.server import LIMIT_S, REFUSED, UNAVAILABLE, ask

STATUS, CALL_TOKEN = "DOZVON_STATUS", "DOZVON_CALL_TOKEN"


def arguments(given: Sequence[str], names: Collection[str], numbers: Collection[str]) -> dict[str, Any]:
    """Fields of `name=value` arguments; what is empty was not given. What has no `=` is none of ours: the
    dialplan around may have an ARG2 of its own. Raises ValueError for another name, a number that is not
    digits, and what is too long."""
    found: dict[str, Any] = {}
    for one in given:
        name, given_so, value = one.partition("=")
        if not given_so:
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
    channel = Channel()
    channel.set({STATUS: UNAVAILABLE})
    body = {"channel": channel.id, "caller": channel.caller, "call_token": channel.get(CALL_TOKEN)}
    try:
        takes = {"number", "check", *names.split()}
        said = arguments(sys.argv[1:], takes, {"check", *numbers.split()})
        if "check" in said:
            said["check"] = bool(said["check"])
        status, told = ask(hook, {**body, **said}, until_s)
    except ValueError as error:
        print(f"dozvon: {hook}: wrong argument {Path(str(error)).name[:30]}", file=sys.stderr)
        status, told = REFUSED, {}
    channel.set({**told, STATUS: status})
