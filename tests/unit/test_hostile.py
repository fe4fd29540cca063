"""The row of hostile input finds what it looks for: each kind holds against the code as it is, and
tells of harm where a defence is taken away."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from dialer.asterisk import ami_framing, config
from dialer.asterisk.agi_codec import AgiDecoder
from dialer.asterisk.fastagi import FastAgiServer
from dialer.bench.faults import row
from dialer.bench.faults.hostile import (
    ALONE,
    LIVE,
    Hostile,
    agi,
    ami,
    csv_files,
    manager,
    manager_live,
    pages,
    raw,
    rfc4475,
    schema,
    sip,
    strangers,
    texts,
)
from dialer.bench.faults.hostile.block import Block
from dialer.bench.faults.hostile.readers import Directive, actions, sections, variables, words
from dialer.bench.model import Sized, case_of
from dialer.calls import call_log, originating
from dialer.contacts import csvfile


def block(case: str, seed: int = 1) -> Block:
    """A small block."""
    return Block(case, seed, short=True)


# -- how Asterisk reads --------------------------------------------------------------------------------------


def test_a_line_feed_ends_a_line_of_the_manager_and_an_empty_line_an_action() -> None:
    """With or without its return; what follows is another action."""
    found = actions(b"Action: Ping\r\nX: 1\n\nAction: Logoff\r\n\r\n")
    assert [each.headers for each in found] == [[("Action", "Ping"), ("X", "1")], [("Action", "Logoff")]]


@pytest.mark.parametrize(
    ("header", "read"),
    [
        ("A=1,B=2", [("A", "1"), ("B", "2")]),
        ("A=1\\,2", [("A", "1,2")]),
        ('A="1,2",B=3', [("A", "1,2"), ("B", "3")]),
        ("A(x,y)=1", [("A(x,y)", "1")]),
        ("A=\\\\", [("A", "\\")]),
    ],
)
def test_items_of_a_variable_header(header: str, read: list[tuple[str, str]]) -> None:
    """Commas divide, but for those in quotes, parentheses or behind a backslash."""
    assert variables(header) == read


def test_words_of_a_line_of_agi() -> None:
    """Blanks divide, quotes keep them, a backslash keeps what follows."""
    assert words(b'SET VARIABLE "a b" c\\ d "x\\"y" ""\n') == [
        b"SET",
        b"VARIABLE",
        b"a b",
        b"c d",
        b'x"y',
        b"",
    ]


def test_sections_of_a_file() -> None:
    """Comments of both kinds are left out, a directive is told apart."""
    text = "a = 1\n[x](y)\nb => 2 ; c\nd = 3\\;4\n;-- e = 5\nf = 6 --;g = 7\n"
    found = [(each.name, each.template, each.values) for each in sections(text)]
    assert found == [("", "", (("a", "1"),)), ("x", "y", (("b", "2"), ("d", "3;4"), ("g", "7")))]
    with pytest.raises(Directive):
        sections("[x]\n#exec id\n")


# -- the kinds that need no contact centre --------------------------------------------------------------


@pytest.mark.parametrize("case", ALONE)
async def test_the_code_as_it_is_holds(case: str) -> None:
    """No harm comes of a block, and its inputs are counted by kind."""
    thrown = block(case)
    await ALONE[case](thrown)
    assert (thrown.failures, thrown.told) == (0, [])
    assert thrown.inputs == sum(thrown.kinds.values()) > 100


Take = Callable[[pytest.MonkeyPatch], None]


def _no_check(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(manager, "checked", dict)


def _no_escape(patch: pytest.MonkeyPatch) -> None:
    def plain(name: str, value: str) -> str:
        return f"{name}={value}"

    patch.setattr(manager, "variable", plain)
    patch.setattr(originating, "variable", plain)
    patch.setattr(ami_framing, "_ITEM", re.compile(".*", re.DOTALL))


def _any_host(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(config, "_plain_ip", str)


def _any_value(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(config, "_safe", lambda _what, value: value)


def _no_quotes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        manager, "encode_command", lambda *given: " ".join(given).encode("utf-8", "replace") + b"\n"
    )


@pytest.mark.parametrize("take", [_no_check, _no_escape, _any_host, _any_value, _no_quotes])
def test_a_defence_of_the_manager_that_is_gone_is_missed(monkeypatch: pytest.MonkeyPatch, take: Take) -> None:
    """Line ends, items, addresses, values of files, words of AGI: without its check there is harm."""
    take(monkeypatch)
    thrown = block("manager")
    asyncio.run(manager.throw(thrown))
    assert thrown.failures


def test_a_formula_that_is_written_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it was before: an apostrophe at the beginning of the cell only."""

    def before(value: str) -> str:
        return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value

    monkeypatch.setattr(csvfile, "safe_cell", before)
    monkeypatch.setattr(call_log, "safe_cell", before)
    thrown = block("csv")
    csv_files.run(thrown)
    assert thrown.failures


def test_a_reader_of_lists_that_falls_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any error but UnreadableFile is harm."""
    monkeypatch.setattr(csvfile, "detect_encoding", lambda _chunks: "utf-8-sig")
    monkeypatch.setattr(csvfile, "open_text", lambda path, encoding: path.open("r", encoding=encoding))
    thrown = block("csv")
    csv_files.run(thrown)
    assert thrown.failures


def test_a_decoder_that_keeps_everything_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a peer says without a line end must not gather."""
    monkeypatch.setattr(AgiDecoder, "_next_line", lambda _self: None)
    thrown = block("agi")
    agi.decode(thrown)
    assert thrown.failures


async def test_a_server_of_agi_that_serves_nobody_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A right session follows every flood."""
    monkeypatch.setattr(agi, "SERVED_S", 2.0)
    monkeypatch.setattr(FastAgiServer, "handler", lambda _self, _script: None)
    thrown = block("agi")
    await agi.sessions(thrown)
    assert "AGI: a right session was not served after the flood" in thrown.told


def test_a_framer_without_a_limit_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endless packet must not gather."""
    monkeypatch.setattr(ami_framing.Framer, "_check", lambda _self, _size: None)
    monkeypatch.setattr(ami, "packet", lambda _dice: b"X: " + b"A" * 20_000)
    thrown = block("ami")
    ami.frames(thrown)
    assert thrown.failures


# -- what the live kinds judge by -----------------------------------------------------------------------

CHANNEL = "01890000-0000-7000-8000-000000000001"


@pytest.mark.parametrize(
    "action",
    [
        {"Action": ["Originate"], "Channel": ["PJSIP/+79161234567@carrier"], "ChannelId": [CHANNEL]},
        {
            "Action": ["Originate"],
            "Channel": ["PJSIP/agent-1"],
            "Variable": ["DOZVON_AMD="],
            "ActionID": ["1"],
        },
        {"Action": ["Hangup"], "Channel": [CHANNEL], "Cause": ["16"]},
    ],
)
def test_an_action_of_the_engine_is_no_strange_one(action: dict[str, list[str]]) -> None:
    """Its kind, its headers, a plain address."""
    assert manager_live.strange(action) == ""


@pytest.mark.parametrize(
    "action",
    [
        {"Action": ["UserEvent"], "UserEvent": ["Hostile"]},
        {"Action": ["Originate", "Command"], "Channel": ["PJSIP/agent-1"]},
        {"Action": ["Originate"], "Channel": ["PJSIP/+79161234567@carrier&PJSIP/+79001234567@carrier"]},
        {"Action": ["Originate"], "Channel": ["Local/s@dozvon-agent"]},
        {"Action": ["Originate"], "Channel": ["PJSIP/agent-1"], "Application": ["System"]},
        {"Action": ["Originate"], "Channel": ["PJSIP/agent-1"], "Variable": ["SHELL(id)=1"]},
        {"Action": ["Hangup"], "Channel": ["/.*/"]},
        {"Channel": ["x"]},
    ],
)
def test_an_action_of_nobody_is_strange(action: dict[str, list[str]]) -> None:
    """Another kind, a header too many, a second address, a function's name."""
    assert manager_live.strange(action)


OURS = '<html><script src="/static/app.js?v=1"></script><a href="/calls">%s</a><p title="%s">%s</p></html>'


def test_a_text_on_a_page_is_read_as_text() -> None:
    """Escaped, each hostile piece is nothing but words."""
    import html

    for piece in texts.MARKUP:
        said = html.escape(piece)
        found, shown, _ = pages.read(OURS % (said, said, said))
        assert found == []
        assert pages.squeezed(piece) in shown


@pytest.mark.parametrize(
    "piece",
    [
        "<script>dzv(1)</script>", "<svg/onload=dzv(1)>", "<img src=x onerror=dzv(1)>",
        "<a href=javascript:dzv(1)>x", "<base href=//127.0.0.1>", "<style>*{display:none}</style>",
        "<!-- x -->", "<form action=//evil.example>", "<iframe>", "<a href='http://evil.example'>",
        "<script src=//evil.example/x.js></script>",
    ],
)  # fmt: skip
def test_markup_that_a_text_has_made_is_found(piece: str) -> None:
    """An element, an attribute or an address that no page of ours has."""
    assert pages.read(OURS % ("x", "x", piece))[0]


def test_an_attribute_that_is_broken_out_of_is_found() -> None:
    """A quotation mark that was not escaped ends the attribute and begins another."""
    assert pages.read(OURS % ("x", '" onmouseover="dzv(1)', "x"))[0]


def test_every_message_of_the_rfc_is_there() -> None:
    """All 49, each under a section of its own, in the RFC's order; the valid ones say how long they are."""
    places = [section for section, _ in rfc4475.MESSAGES.values()]
    valid = [f"3.1.1.{n}" for n in range(1, 14)]
    wrong = [f"3.1.2.{n}" for n in range(1, 20)]
    assert places == [*valid, *wrong, "3.2.1", *(f"3.3.{n}" for n in range(1, 16)), "3.4.1"]
    for name in ("esc01", "lwsdisp", "longreq", "unreason"):
        head, _, body = rfc4475.MESSAGES[name][1].partition(b"\r\n\r\n")
        assert int(re.findall(rb"Content-Length *: *(\d+)", head)[0]) == len(body), name


@pytest.mark.parametrize(
    ("name", "pieces"),
    [
        ("wsinv", [b"TO :\r\n sip:", b"MaX-fOrWaRdS: 0068", b"\r\ns :\r\n", b"SIP  /   2.0\r\n /UDP"]),
        ("intmeth", [b"!interesting-Method0123456789_*+`.%indeed'~ ", b"\\\x00 DEL:\\\x7f", b"\xef\xbb\xbf"]),
        ("esc01", [b"sip:sips%3Auser%40example.com@example.net", b";%6C%72;n%61me=v%61lue%25%34%31>"]),
        ("escnull", [b"null-%00-null", b"<sip:%00%00@"]),
        ("esc02", [b"RE%47IST%45R sip:", b"\r\nC%6Fntact: ", b'"%Z%45"', b"z9hG4bK209%fzsnel234"]),
        ("lwsdisp", [b"From: caller<sip:"]),
        ("dblreq", [b"Content-Length: 0\r\n\r\nINVITE sip:"]),
        ("semiuri", [b"sip:user;par=u%40example.net@example.com"]),
        ("mpart01", [b"Content-Type: multipart/mixed;boundary=7a9cbec02ceef655\r\n", bytes(range(256))]),
        ("unreason", ["= 2**3 * 5**2 но сто девяносто девять - простое".encode()]),
        ("noreason", [b"SIP/2.0 100 \r\n"]),
        ("badinv01", [b"192.0.2.15;;,;,,\r\n", b"<sip:joe@example.org>;;;;\r\n"]),
        ("clerr", [b"Content-Length: 9999"]),
        ("ncl", [b"Content-Length: -999"]),
        ("scalar02", [b"CSeq: 36893488147419103232 ", b"Max-Forwards: 300", b"expires=280297596632815"]),
        ("scalarlg", [b"CSeq: 9292394834772304023312 ", b"949302838503028349304023988", b"Warning: 1812 "]),
        ("quotbal", [b'To: "Mr. J. User <sip:']),
        ("ltgtruri", [b"INVITE <sip:user@example.com> SIP"]),
        ("lwsruri", [b"sip:user@example.com; lr SIP"]),
        ("lwsstart", [b"INVITE  sip:user@example.com  SIP/2.0\r\n"]),
        ("trws", [b" SIP/2.0  \r\n"]),
        ("escruri", [b"?Route=%3Csip:example.com%3E SIP/2.0"]),
        ("baddate", [b"16:00:00 EST\r\n"]),
        ("badaspec", [b"< sip:t.watson@example.org >"]),
        ("baddn", [b"To: Watson, Thomas <", b"From: Bell, Alexander <"]),
        ("badvers", [b" SIP/7.0\r\n", b"Via: SIP/7.0/UDP"]),
        ("mismatch01", [b"OPTIONS sip:", b"CSeq: 8 INVITE"]),
        ("mismatch02", [b"NEWMETHOD sip:", b"CSeq: 8 INVITE"]),
        ("bigcode", [b"SIP/2.0 4294967301 "]),
        ("badbranch", [b";branch=z9hG4bK\r\n"]),
        ("unksm2", [b"To: isbn:2983792873", b"<http://www.example.com>", b"<name:John_Smith>"]),
        ("bcast", [b"255.255.255.255"]),
        ("zeromf", [b"Max-Forwards: 0\r\n"]),
        ("regescrt", [b"\r\nM: <sip:user@example.com?Route=%3Csip:sip.example.com%3E>"]),
        ("sdp01", [b"Accept: text/nobodyKnowsThis"]),
    ],
)  # fmt: skip
def test_a_message_of_the_rfc_is_as_tortuous_as_its_section_says(name: str, pieces: list[bytes]) -> None:
    """What the section names as the message's peculiarity stands in it."""
    message = rfc4475.MESSAGES[name][1]
    assert [piece for piece in pieces if piece not in message] == []


def test_fields_of_the_rfc_are_as_many_as_it_says() -> None:
    """34 Via fields, doubled fields that may be there once, and messages that lack what each must have."""
    fields = {
        name: Counter(re.findall(rb"\r\n([A-Za-z-]+) *:", message.partition(b"\r\n\r\n")[0]))
        for name, (_, message) in rfc4475.MESSAGES.items()
    }
    longest = fields["longreq"]
    assert sum(count for field, count in longest.items() if field.lower() in (b"v", b"via")) == 34
    assert {field for field, count in fields["multi01"].items() if count == 2} == {
        b"CSeq", b"Call-ID", b"Max-Forwards", b"From", b"To", b"Contact",
    }  # fmt: skip
    assert fields["mcl01"][b"Content-Length"] == 2
    assert fields["insuf"].keys() == {b"CSeq", b"Via", b"Content-Type", b"Content-Length"}
    assert not fields["inv2543"].keys() & {b"Max-Forwards", b"Content-Length"}
    assert b"branch" not in rfc4475.MESSAGES["inv2543"][1]
    assert fields["transports"][b"Via"] == 5


def test_a_seed_makes_its_inputs_again() -> None:
    """Of every kind that is thrown from a seed: the same bytes, so that a harm can be looked at."""
    makes: list[Callable[[Any], Any]] = [
        lambda dice: texts.hostile(dice, "x"),
        lambda dice: list(sip.messages(dice, 5060, 100)),
        lambda dice: raw.request(dice, ()),
        lambda dice: strangers.said(dice, "dozvon"),
        agi.stream,
        ami.packet,
        csv_files._file,
    ]
    for make in makes:
        assert make(block("x", 7).dice) == make(block("x", 7).dice)
        assert [make(block("x", seed).dice) for seed in range(20)] != [make(block("x", 1).dice)] * 20


def test_the_short_form_has_every_kind() -> None:
    """A block each, with fewer inputs in it."""
    found = row("hostile")
    assert found is not None
    assert isinstance(found, Sized)
    short = found.sized(short=True, minutes=None)
    assert {case_of(short.cases, seed) for seed in range(1, short.short_runs + 1)} == {*ALONE, *LIVE}
    assert Block("x", 1, short=True).size(1_000, 10) == 10


def test_the_long_form_meets_every_operation_of_the_api() -> None:
    """Its blocks have every turn once, and a turn has its share of the operations."""
    found = row("hostile")
    assert isinstance(found, Hostile)
    blocks = [found.block(seed) for seed in range(1, found.long_runs + 1)]
    turns = [block.turn % schema.TURNS for block in blocks if block.case == "http_schema"]
    assert sorted(turns) == list(range(schema.TURNS))


@pytest.mark.parametrize(("operations", "met"), [(9, 3), (71, 24), (190, 28), (1000, 25)])
def test_the_short_form_meets_about_two_dozen_operations(operations: int, met: int) -> None:
    """However many the API has come to have; of a few no more than a third."""
    found = schema.met_by(Block("http_schema", 1, short=True), range(operations))
    assert (found[0], len(found)) == (0, met)
    assert found[-1] >= operations - operations // met - 1


def test_a_page_that_goes_on_is_read_to_its_end() -> None:
    """Where a list has more entries than a page, the link to the others is found."""
    page = OURS % ("x", "x", '<a href="/tokens?cursor=WzIwMF0">More</a>')
    assert pages.read(page)[2] == "/tokens?cursor=WzIwMF0"
    assert pages.read(OURS % ("x", "x", "x"))[2] == ""


def test_a_block_whose_inputs_came_nowhere_does_harm() -> None:
    """What nobody answered, read or let pass has tried nothing."""
    tried = Block("sip", 1)
    tried.reached("sip_answers", 3)
    assert (tried.failures, tried.all_figures()["sip_answers"]) == (0, 3)
    tried.reached("sip_ws_sent", 0)
    assert tried.failures == 1
    assert tried.told == ["sip_ws_sent is 0: nothing has come to where it was to be tried"]
