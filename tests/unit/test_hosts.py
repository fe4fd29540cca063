"""Which addresses a request of a flow may go to, and what can stand in the list of hosts."""

from __future__ import annotations

import ipaddress

import pytest

from dialer.hosts.model import Host, entry_for, host_fault, may_connect

WORLD = ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:93.184.216.34"]
INSIDE = ["127.0.0.1", "10.0.0.5", "172.16.9.9", "192.168.1.1", "100.64.0.1", "::1", "fd00::1"]
INSIDE_IN_DISGUISE = ["::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"]
NOBODYS = ["169.254.169.254", "fe80::1", "0.0.0.0", "0.1.2.3", "::", "224.0.0.1", "ff02::1", "240.0.0.1"]
NOBODYS_IN_DISGUISE = ["::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::"]


@pytest.mark.parametrize("address", WORLD)
def test_an_address_of_the_world_is_right_for_any_host(address: str) -> None:
    """Inside or not."""
    assert [may_connect(ipaddress.ip_address(address), inside=one) for one in (False, True)] == [True, True]


@pytest.mark.parametrize("address", INSIDE + INSIDE_IN_DISGUISE)
def test_an_address_of_our_network_is_right_for_a_host_inside_of_it(address: str) -> None:
    """A name in the world that is made to stand for it leads nowhere."""
    assert [may_connect(ipaddress.ip_address(address), inside=one) for one in (False, True)] == [False, True]


@pytest.mark.parametrize("address", NOBODYS + NOBODYS_IN_DISGUISE)
def test_an_address_of_nobody_is_right_for_none(address: str) -> None:
    """The metadata of a cloud's machine is behind one of them."""
    assert not any(may_connect(ipaddress.ip_address(address), inside=one) for one in (False, True))


@pytest.mark.parametrize("host", ["example.org", "crm.example.org:8080", "10.0.0.5", "localhost", "x"])
def test_a_host_can_be_listed(host: str) -> None:
    """As flows write it."""
    assert host_fault(host) is None


@pytest.mark.parametrize(
    "host",
    ["", "Example.org", "a b", "user@example.org", "example.org/", "example.org:0", "example.org:70000",
     "пример.рф", "[::1]", "example.org:", "-a", "*.example.org", "example.org\n"],
)  # fmt: skip
def test_what_is_no_host_cannot_be_listed(host: str) -> None:
    """Not even one that another reader would take for a host."""
    assert host_fault(host) is not None


def test_an_entry_without_a_port_is_for_the_usual_ports() -> None:
    """Of https and of http."""
    entry = Host(1, "example.org", inside=False, header="", secret="")
    urls = [
        "https://example.org/x",
        "http://example.org/x",
        "https://example.org:8443/x",
        "https://a.example.org/x",
    ]
    assert [entry_for(url, [entry]) is entry for url in urls] == [True, True, False, False]
