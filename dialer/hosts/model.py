"""Which servers flows may ask: the tenant's list, and the addresses that a name may stand for."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from ivr_flows import hosts

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

#: `example.org`, `example.org:8080`: small letters, as flows write it.
HOST: Final = r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[1-9][0-9]{0,4})?$"
#: The name of a header (RFC 9110), and values that stand on one line.
HEADER: Final = r"^[A-Za-z0-9-]{1,64}$"
VALUE: Final = r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$"
#: Headers that are the connection's own.
OWN: Final = frozenset(
    {"host", "content-length", "content-type", "transfer-encoding", "connection", "accept-encoding"}
)
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Host:
    """A server that flows may ask."""

    id: int
    #: name, and a port where it is not that of https or http
    host: str
    #: it is in our own network: addresses that the world does not have are right
    inside: bool
    #: a header that goes with each request, as `Authorization`; empty: none
    header: str
    #: its value
    secret: str


def entry_for(url: str, entries: Sequence[Host]) -> Host | None:
    """The entry by which a request may go to this URL; None: it may not."""
    return next((one for one in entries if hosts.allowed(url, (one.host,))), None)


def may_connect(address: Address, *, inside: bool) -> bool:
    """Whether a request may go to this address.

    Into the world always; into our own network only for an entry that says so, since a name can be made to
    stand for any address. To what is nobody's server (a cloud's metadata among it) never.
    """
    plain = _plain(address)
    if plain.is_multicast or plain.is_link_local or plain.is_unspecified:
        return False
    if plain.is_reserved and not plain.is_loopback:  # ::1 is both
        return False
    if plain.version == 4 and plain.packed[0] == 0:
        return False  # "this network": some systems take it for the own machine
    return plain.is_global or inside


def _plain(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, else the address."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.sixtofour is not None:
            return address.sixtofour
        if address in _NAT64:
            return ipaddress.IPv4Address(address.packed[-4:])
    return address


def host_fault(host: str) -> str | None:
    """Why a host cannot be in the list; None when it can."""
    if not re.fullmatch(HOST, host):
        return "write a host in small letters, as example.org or example.org:8080"
    try:
        name, port = hosts.host_of(f"https://{host}/")
        if urlsplit(f"https://{host}/").hostname != name or port > 65535:
            return "write a host in small letters, as example.org or example.org:8080"
    except ValueError as error:
        return str(error)
    return None
