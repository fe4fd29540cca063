"""The generated part of Asterisk's configuration."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import asterisk_conf
from dialer.asterisk.config import (
    UNHEARD,
    AgentPhone,
    ManagedAsterisk,
    Nat,
    TrunkLine,
    ha1,
    render_managed,
    render_manager,
    render_pjsip,
)
from dialer.calls.tracking import EVENTS
from dialer.errors import DozvonError, Invalid, UnsafeValue

MANAGED = ManagedAsterisk(
    ami_port=5038,
    ami_user="dozvon",
    ami_secret="a-secret",
    sip_host="127.0.0.1",
    sip_port=5060,
    http_port=8088,
    rtp_port_from=10000,
    rtp_port_to=10099,
)
PHONE = AgentPhone("maria", ha1("maria", "p"))
TRUNK = TrunkLine("carrier", "sip.example.org", 5070, "u", "s", ("alaw", "g722"), 10)


def read(text: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """Sections of a file as Asterisk reads it: comments off, `key = value`."""
    sections: list[tuple[str, list[tuple[str, str]]]] = []
    for raw in text.splitlines():
        line = raw.split(";")[0].strip()
        if line.startswith("["):
            sections.append((line, []))
        elif line and sections:
            key, _, value = line.partition("=")
            sections[-1][1].append((key.strip(), value.strip()))
    return sections


def test_every_file_of_the_fixed_part_is_made() -> None:
    """The fixed files include four generated ones; all are made, even with no phone and no trunk."""
    assert set(render_managed(MANAGED, [], [])) == {"manager.conf", "http.conf", "rtp.conf", "pjsip.conf"}


def test_the_hash_is_that_of_digest_authentication() -> None:
    """HA1 is MD5 of user, realm and password with colons between (RFC 2617, the example of 3.5)."""
    assert ha1("Mufasa", "Circle Of Life", "testrealm@host.com") == "939e7578ed9e3c518a452acee763bce9"
    assert ha1("maria", "p") == hashlib.md5(b"maria:dozvon:p").hexdigest()


def test_a_phone_has_its_endpoint_its_hash_and_one_contact() -> None:
    """A phone is an endpoint, an auth of its hash and an aor, of the templates of pjsip.conf."""
    sections = dict(read(render_pjsip(MANAGED, [PHONE], [])))
    assert ("auth", "maria-auth") in sections["[maria](dozvon-agent)"]
    assert ("md5_cred", PHONE.ha1) in sections["[maria-auth](dozvon-agent-auth)"]
    assert sections["[maria](dozvon-agent-aor)"] == []


def test_a_browser_stands_on_the_template_of_browsers() -> None:
    """A WebRTC phone is not tied to the address of SIP: a browser does not speak to 127.0.0.1."""
    sections = dict(read(render_pjsip(MANAGED, [], [], ["dozvon-web-7"])))
    assert "bind_rtp_to_media_address" not in dict(sections["[dozvon-web-7](dozvon-agent-webrtc)"])
    assert [name for name, _ in sections["[dozvon-web-7](dozvon-agent-aor)"]] == ["qualify_timeout"]


def test_a_browser_is_offered_the_codec_of_the_settings_first() -> None:
    """The template's is alaw; the other one stays behind it."""
    sections = dict(read(render_pjsip(replace(MANAGED, browser_codec="opus"), [], [], ["dozvon-web-7"])))
    endpoint = sections["[dozvon-web-7](dozvon-agent-webrtc)"]
    assert endpoint.index(("disallow", "all")) < endpoint.index(("allow", "opus,alaw"))


def test_those_outside_are_told_the_address_outside() -> None:
    """SIP and voice of who is not in the networks inside; browsers are told both addresses."""
    nat = Nat("203.0.113.10", "10.0.0.5", ("10.0.0.0/8", "127.0.0.0/8"))
    files = render_managed(replace(MANAGED, sip_host="0.0.0.0", nat=nat), [], [])
    transport = dict(read(files["pjsip.conf"]))["[dozvon-udp]"]
    assert ("external_media_address", "203.0.113.10") in transport
    assert ("external_signaling_address", "203.0.113.10") in transport
    assert [value for key, value in transport if key == "local_net"] == ["10.0.0.0/8", "127.0.0.0/8"]
    assert "[ice_host_candidates]\n10.0.0.5 => 203.0.113.10,include_local_address" in files["rtp.conf"]
    assert "external" not in render_pjsip(MANAGED, [], [])


def test_a_phone_that_waits_is_sent_no_silence_and_a_browser_is() -> None:
    """The dialplan goes by the endpoint's variable; a browser judges its connection by what comes."""
    sections = dict(read(render_pjsip(MANAGED, [PHONE], [], ["dozvon-web-7"])))
    assert ("set_var", "DOZVON_WAIT=n") in sections["[maria](dozvon-agent)"]
    assert "set_var" not in dict(sections["[dozvon-web-7](dozvon-agent-webrtc)"])


def test_a_trunk_has_its_carrier_and_secret() -> None:
    """A trunk is called at its address, knows its secret, and is known by its address."""
    sections = dict(read(render_pjsip(MANAGED, [], [TRUNK])))
    endpoint = dict(sections["[carrier](dozvon-trunk)"])
    assert endpoint["allow"] == "alaw,g722"
    assert endpoint["outbound_auth"] == "carrier-auth"
    assert sections["[carrier](dozvon-trunk-aor)"] == [("contact", "sip:sip.example.org:5070")]
    assert ("password", "s") in sections["[carrier-auth]"]
    assert ("match", "sip.example.org") in sections["[carrier-identify]"]
    assert "[carrier-registration]" not in sections


def test_a_trunk_without_a_secret_has_no_auth() -> None:
    """A carrier that knows us by our address gets no credentials."""
    sections = dict(read(render_pjsip(MANAGED, [], [replace(TRUNK, user=None, secret=None)])))
    assert "[carrier-auth]" not in sections
    assert "outbound_auth" not in dict(sections["[carrier](dozvon-trunk)"])


def test_a_trunk_can_register() -> None:
    """Where the carrier wants a registration, it is sent to the carrier under the trunk's user."""
    sections = dict(read(render_pjsip(MANAGED, [], [replace(TRUNK, register=True)])))
    registration = dict(sections["[carrier-registration]"])
    assert registration["server_uri"] == "sip:sip.example.org:5070"
    assert registration["client_uri"] == "sip:u@sip.example.org:5070"


def test_voice_keeps_to_the_address_of_sip() -> None:
    """On loopback the voice is bound to loopback; on every address, to every address."""
    inside = dict(dict(read(render_pjsip(MANAGED, [PHONE], [])))["[maria](dozvon-agent)"])
    assert inside["media_address"] == "127.0.0.1"
    outside = dict(
        dict(read(render_pjsip(replace(MANAGED, sip_host="0.0.0.0"), [PHONE], [])))["[maria](dozvon-agent)"]
    )
    assert "media_address" not in outside


def test_an_address_of_version_6_is_bracketed() -> None:
    """IPv6 addresses stand in brackets where a port follows."""
    text = render_pjsip(replace(MANAGED, sip_host="::1"), [], [replace(TRUNK, host="2001:db8::1")])
    assert "bind = [::1]:5060" in text
    assert "contact = sip:[2001:db8::1]:5070" in text


@pytest.mark.parametrize(
    "bad",
    [
        "a\nwrite = all",
        "a\r",
        "a;b",
        "a\0",
        "> a",
        "#include x",
        "[x]",
        " a",
        "a ",
        "a\u2028b",
        "",
        "a" * 129,
    ],
)
def test_a_secret_that_is_more_than_a_value_is_refused(bad: str) -> None:
    """Line breaks, comments, directives, blanks at the ends: refused with the field's name, never written."""
    with pytest.raises(DozvonError) as caught:
        render_manager(replace(MANAGED, ami_secret=bad))
    assert isinstance(caught.value, UnsafeValue | Invalid)
    assert caught.value.details["field"] == "ami_secret"
    with pytest.raises(DozvonError, match=r"trunk (user|secret)"):
        render_pjsip(MANAGED, [], [replace(TRUNK, secret=bad or "\n")])


@given(st.text(max_size=40))
def test_a_secret_is_refused_or_comes_back_as_it_was(secret: str) -> None:
    """Whatever the secret is, Asterisk reads exactly it, or nothing is written."""
    try:
        text = render_pjsip(MANAGED, [PHONE], [replace(TRUNK, secret=secret)])
    except (UnsafeValue, Invalid):
        return
    plain = read(render_pjsip(MANAGED, [PHONE], [replace(TRUNK, secret="x")]))
    changed = [
        (name, [(k, secret if (k, v) == ("password", "x") else v) for k, v in rows]) for name, rows in plain
    ]
    assert read(text) == changed


@pytest.mark.parametrize(
    ("phone", "field"),
    [
        (AgentPhone("mar ia", PHONE.ha1), "agent endpoint"),
        (AgentPhone("maria](x", PHONE.ha1), "agent endpoint"),
        (AgentPhone("dozvon-udp", PHONE.ha1), "agent endpoint"),
        (AgentPhone("global", PHONE.ha1), "agent endpoint"),
        (AgentPhone("maria", PHONE.ha1.upper()), "agent ha1"),
        (AgentPhone("maria", "secret"), "agent ha1"),
        (AgentPhone("maria", PHONE.ha1, realm="a b"), "agent realm"),
    ],
)
def test_a_phone_that_is_none_is_refused(phone: AgentPhone, field: str) -> None:
    """Names go into section heads: only letters, digits and three marks; a hash is 32 hexadecimal digits."""
    with pytest.raises(Invalid) as caught:
        render_pjsip(MANAGED, [phone], [])
    assert caught.value.details["field"] == field


@pytest.mark.parametrize(
    ("trunk", "field"),
    [
        (replace(TRUNK, host="a b"), "trunk host"),
        (replace(TRUNK, host="a_b"), "trunk host"),
        (replace(TRUNK, host="fe80::1%eth0"), "trunk host"),
        (replace(TRUNK, host="-a"), "trunk host"),
        (replace(TRUNK, port=0), "trunk port"),
        (replace(TRUNK, port=65536), "trunk port"),
        (replace(TRUNK, user="a@b"), "trunk user"),
        (replace(TRUNK, codecs=()), "trunk codecs"),
        (replace(TRUNK, codecs=("alaw", "g729")), "trunk codecs"),
        (replace(TRUNK, max_channels=0), "trunk max_channels"),
    ],
)
def test_a_trunk_that_is_none_is_refused(trunk: TrunkLine, field: str) -> None:
    """Hosts, ports, codecs and limits are checked before a file is written; the error names the field."""
    with pytest.raises(Invalid) as caught:
        render_pjsip(MANAGED, [], [trunk])
    assert caught.value.details["field"] == field


@pytest.mark.parametrize("zone", ["eth0", "a b", "\n[x]\ntype = endpoint", ""])
def test_an_address_with_a_zone_is_refused(zone: str) -> None:
    """Behind a % Python takes anything for a zone, line ends too: none reaches a file."""
    with pytest.raises(Invalid, match="sip_host"):
        render_pjsip(replace(MANAGED, sip_host=f"fe80::1%{zone}"), [], [])


@pytest.mark.parametrize("second", ["carrier", "carrier-auth"])
def test_two_of_one_name_are_refused(second: str) -> None:
    """A phone named as a trunk, or as a trunk's section, would be read as part of it."""
    with pytest.raises(Invalid, match="two"):
        render_pjsip(MANAGED, [AgentPhone(second, PHONE.ha1)], [TRUNK])


def test_secrets_are_not_in_what_is_printed() -> None:
    """A value in a log line shows no secret."""
    shown = f"{MANAGED} {PHONE} {TRUNK}"
    assert "a-secret" not in shown
    assert PHONE.ha1 not in shown
    assert "secret='s'" not in shown


def test_the_manager_listens_on_loopback_and_drops_the_noise() -> None:
    """The one user may do what the engine does, from this machine only."""
    text = render_manager(MANAGED)
    user = dict(dict(read(text))["[dozvon]"])
    assert user["read"] == "system,call,user"
    assert "config" not in user["write"]
    assert user["deny"] == "0.0.0.0/0.0.0.0"
    assert "bindaddr = 127.0.0.1" in text
    assert user["eventfilter"] == f"!^Event: ({'|'.join(UNHEARD)})"
    assert f"disabledevents = {','.join(UNHEARD)}\n" in text
    assert user["eventfilter"] in (asterisk_conf.FOLDER / "external/manager_dozvon.conf").read_text()


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_what_the_engine_goes_by_is_said(name: str) -> None:
    """Asterisk keeps no event that the engine understands: the filter goes by the beginnings of names."""
    assert not name.startswith(UNHEARD)


def test_a_range_too_small_for_a_talk_is_refused() -> None:
    """Two legs need four ports for voice."""
    with pytest.raises(Invalid, match="rtp_port_to"):
        render_managed(replace(MANAGED, rtp_port_to=10002), [], [])
    render_managed(replace(MANAGED, rtp_port_to=10003), [], [])
