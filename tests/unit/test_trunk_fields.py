"""What the API takes as a trunk, a managed Asterisk can be given: else one trunk would stop the server."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from dialer.asterisk.config import ManagedAsterisk, TrunkLine, render_managed
from dialer.trunks.fields import TrunkIn
from dialer.trunks.model import CODECS, HOST, SIP_SECRET, SIP_USER
from dialer.trunks.service import own_endpoint

MANAGED = ManagedAsterisk(
    ami_port=5038,
    ami_user="dozvon",
    ami_secret="secret-of-a-test",
    sip_host="127.0.0.1",
    sip_port=5060,
    http_port=8088,
    rtp_port_from=10000,
    rtp_port_to=10999,
)
HOSTS = st.one_of(
    st.from_regex(HOST, fullmatch=True),
    st.ip_addresses().map(str),
    st.text("0123456789abcxyzABC.-:", min_size=1, max_size=20),
)


def trunk(**fields: Any) -> TrunkIn:
    """A trunk as the API would take it. Raises ValidationError."""
    plain = {"name": "Carrier", "caller_id": "+74951234567", "allowed_prefixes": ["+7"]}
    return TrunkIn.model_validate(plain | fields)


def rendered(wanted: TrunkIn) -> str:
    """The trunk as the managed Asterisk would read it."""
    assert wanted.sip_host is not None
    line = TrunkLine(
        endpoint=own_endpoint(1, 1),
        host=wanted.sip_host,
        port=wanted.sip_port or 5060,
        user=wanted.sip_user,
        secret=wanted.sip_secret.get_secret_value() if wanted.sip_secret else None,
        codecs=tuple(wanted.codecs),
        max_channels=wanted.max_channels,
    )
    return render_managed(MANAGED, [], [line])["pjsip.conf"]


@given(HOSTS)
@example("x." * 64 + "x")
@example("::1%a;b")
def test_every_host_that_is_taken_can_be_written_down(host: str) -> None:
    """A carrier's host is refused when the trunk is made, or it is one that Asterisk can be given."""
    try:
        wanted = trunk(sip_host=host)
    except ValidationError:
        return
    assert own_endpoint(1, 1) in rendered(wanted)


@pytest.mark.parametrize(
    "host", ["sip.carrier.example", "pbx", "192.0.2.10", "2001:db8::10", "a" * 63 + ".b"]
)
def test_names_and_addresses_are_hosts(host: str) -> None:
    """What carriers name is taken, and stands in Asterisk's file."""
    assert host in rendered(trunk(sip_host=host))


@given(st.from_regex(SIP_USER, fullmatch=True), st.from_regex(SIP_SECRET, fullmatch=True))
def test_every_user_and_secret_that_is_taken_can_be_written_down(user: str, secret: str) -> None:
    """Whatever the API takes as user and password at the carrier stands in Asterisk's file as it is."""
    assert f"password = {secret}\n" in rendered(
        trunk(sip_host="sip.example.org", sip_user=user, sip_secret=secret)
    )


@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_that_is_taken_can_be_written_down(codec: str) -> None:
    """A codec that the API offers is one that a managed Asterisk loads."""
    assert f"allow = {codec}" in rendered(trunk(sip_host="sip.example.org", codecs=[codec]))


@pytest.mark.parametrize(
    "host",
    [
        "a..b",
        "a-.b",
        "-a",
        ":::::",
        "1:2:3",
        "a_b",
        "",
        "x" * 254,
        "x." * 64 + "x",
        "::1%a;b",
        "fe80::1%eth0",
        "::1%\n[x]",
    ],
)
def test_what_is_no_host_is_refused_at_once(host: str) -> None:
    """A host that no resolver could find is refused in the request, not when Asterisk reads it."""
    with pytest.raises(ValidationError):
        trunk(sip_host=host)
