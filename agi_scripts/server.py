"""One question of a hook to the server, by HTTP and within a time limit."""

from __future__ import annotations

import http.client
import json
import ssl
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from agi_scripts.address import NotSet, address

#: All of a hook, seconds: of the 2 seconds what Python's start and end leave.
LIMIT_S = 1.7
MOST_BYTES = 65_536
OK, NOT_FOUND, REFUSED, UNAVAILABLE = "OK", "NOT_FOUND", "REFUSED", "UNAVAILABLE"


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
    """As `post`, until that moment of the monotonic clock; whatever is wrong is a status.

    It runs in a thread that is left behind, so neither a name server nor a peer that sends a byte a second
    holds the caller.
    """
    done: list[tuple[str, dict[str, str]]] = []

    def work() -> None:
        try:
            done.append(post(hook, body, *address()))
        except NotSet as error:
            print(f"dozvon: {error}", file=sys.stderr)
        except Exception as error:
            # Whatever an address or a reply can be: the call goes on. No text of it, which may hold a number.
            print(f"dozvon: {hook}: {type(error).__name__}", file=sys.stderr)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(max(0.0, until_s - time.monotonic()))
    return done[0] if done else (UNAVAILABLE, {})
