"""Where a flow may send requests: to hosts that the tenant allows; a variable cannot change the host."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote, urlsplit

from ivr_flows.model import Value, clean_values
from ivr_flows.templates import Place, parse, render

#: The host is written out, in lower case letters, before any variable; no user, no name in other letters.
_PLAIN = re.compile(r"(https?)://([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(?::(\d{1,5}))?(?=[/?]|$)")
_PORTS: Final = {"https": 443, "http": 80}
#: What stands for "this folder" and "the one above", which a server would resolve.
_DOTS: Final = (".", "..")
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\#]")
PATH: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){0,9}")


def host_of(url: str) -> tuple[str, int]:
    """Host and port of a URL or of its template. Raises ValueError where they are not written out."""
    match = _PLAIN.match(url)
    if match is None:
        raise ValueError(
            "begin with https:// and a host in small letters, written out, with a / before the first variable"
        )
    return match[2], int(match[3] or _PORTS[match[1]])


def check_template(url: str) -> str:
    """The URL template, if no variable can lead it to another host. Raises ValueError."""
    host_of(url)
    written = "".join("" if isinstance(piece, Place) else piece for piece in parse(url))
    if _UNSAFE.search(written):
        raise ValueError("a URL has no spaces, no \\ and no #")
    if any(segment in _DOTS for segment in written.partition("?")[0].split("/")[3:]):
        raise ValueError("a URL has no . or .. as a part of its path")
    return url


def allowed(url: str, hosts: Collection[str]) -> bool:
    """Whether a request may go to this URL: its host is one of these (`example.org`, `example.org:8080`)."""
    try:
        host, port = host_of(url)
        own = urlsplit(url)
        # A second opinion: two readers of a URL that differ about its host are how filters are passed.
        agreed = own.hostname == host and own.username is None and (own.port or port) == port
    except ValueError:
        return False
    ports = f"{host}:{port}" in hosts
    return agreed and not _UNSAFE.search(url) and (ports or (host in hosts and port == _PORTS[own.scheme]))


def fill(template: str, variables: Mapping[str, Value], now: datetime, language: str) -> str:
    """The URL with its variables, each percent-encoded whole. Raises ValueError where one would walk up the
    path."""
    url = render(template, variables, now, language, escape=lambda value: quote(value, safe=""))
    if any(segment in _DOTS for segment in url.partition("?")[0].split("/")[3:]):
        raise ValueError("a variable would walk up the path of the URL")
    return url


def taken(into: Mapping[str, str], document: Any) -> dict[str, Value]:
    """What a reply's JSON holds at the paths of `Request.into`; None for what is not there, or no value."""
    found: dict[str, Any] = {}
    for name, path in into.items():
        at = document
        for key in path.split("."):
            if isinstance(at, dict):
                at = at.get(key)
            elif isinstance(at, list) and key.isdecimal() and len(key) < 6 and int(key) < len(at):
                at = at[int(key)]
            else:
                at = None
        found[name] = at
    clean = clean_values(found)
    return {name: clean.get(name) for name in into}
