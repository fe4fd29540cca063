"""AMI's bytes: packets out of segments torn anywhere, actions that are one action."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialer.asterisk.ami_framing import Framer, FramingError, Packet, checked, event_name, variable
from dialer.errors import Invalid, UnsafeValue

BANNER = b"Asterisk Call Manager/11.0.0\r\n"
STREAM = (
    BANNER
    + "Event: Newchannel\r\nCallerIDName: Мария Ёлкина\r\nEmpty: \r\n\r\n".encode()
    + b"Response: Success\r\nActionID: 7\r\n\r\n"
    + "Event: Hangup\r\nCause-txt: обрыв 📞\r\n\r\n".encode()
)


def framed(*segments: bytes, max_packet: int = 10_000) -> list[bytes]:
    framer = Framer(max_packet)
    return [packet for segment in segments for packet in framer.feed(segment)]


def parsed(data: bytes) -> Packet:
    packet = Packet.parse(data)
    assert packet is not None
    return packet


def test_a_stream_torn_at_every_byte_gives_the_same_packets() -> None:
    """Where TCP cuts a stream, letters and line ends included, does not matter."""
    whole = framed(STREAM)
    assert [len(whole), parsed(whole[0])["CallerIDName"]] == [3, "Мария Ёлкина"]
    for cut in range(len(STREAM) + 1):
        assert framed(STREAM[:cut], STREAM[cut:]) == whole, cut
    assert framed(*(STREAM[i : i + 1] for i in range(len(STREAM)))) == whole


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_a_stream_torn_into_many_segments_gives_the_same_packets(cuts: list[int]) -> None:
    """The same for any number of cuts, empty segments included."""
    places = [0, *sorted(cuts), len(STREAM)]
    segments = [STREAM[a:b] for a, b in pairwise(places)]
    assert framed(*segments) == framed(STREAM)


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=5))
def test_any_bytes_are_parsed_or_thrown_away_but_never_raise(data: bytes, cuts: list[int]) -> None:
    """After the banner no garbage can hurt: a packet is an event, a response, or nothing."""
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    segments = [data[a:b] for a, b in pairwise(places)]
    for packet in framed(BANNER, *segments, b"\r\n\r\nEvent: After\r\nX: 1\r\n\r\n"):
        message = Packet.parse(packet)
        assert message is None or all(isinstance(value, str) for value in message.headers.values())
    assert message is not None
    assert (message.event, message["X"]) == ("After", "1")


def test_bytes_that_are_no_utf8_cost_a_letter_and_not_the_event() -> None:
    """A caller name in another encoding becomes replacement characters; the other headers are whole."""
    message = parsed(b"Event: Newchannel\r\nCallerIDName: \xcc\xe0\xf0\xe8\xff\r\nUniqueid: 5")
    assert message["Uniqueid"] == "5"
    assert set(message["CallerIDName"]) == {"�"}


def test_a_repeated_header_is_one_string_of_lines_and_any_case_finds_it() -> None:
    """`Output` of a command comes a header a line; Asterisk writes Uniqueid and UniqueID."""
    message = parsed(b"Response: Success\r\nOutput: one\r\nOutput:  two\r\nUniqueID: 5\r\nLast: ")
    assert message["Output"] == "one\n two"
    assert message["uniqueid"] == message.get("Uniqueid") == "5"
    assert message["Last"] == ""
    assert "nothing" not in message


def test_another_service_on_the_port_is_noticed_before_it_learns_the_secret() -> None:
    """Without the banner the stream is refused at its first wrong byte, and an endless one by its length."""
    for stream in (b"SSH-2.0-OpenSSH\r\n", b"A\r\n", b"Asterisk Call Manager", BANNER[:-2] + b"1" * 300):
        with pytest.raises(FramingError):
            framed(stream + b"\r\n\r\n")
    assert framed(BANNER[:9]) == []


def test_a_packet_has_a_limit_whether_it_ends_or_not() -> None:
    """Memory is bounded: a packet past the limit ends the stream."""
    long = b"Event: X\r\nA: " + b"a" * 200
    with pytest.raises(FramingError):
        framed(BANNER, *([long] * 2), max_packet=400)
    with pytest.raises(FramingError):
        framed(BANNER, long + b"\r\n\r\n", max_packet=100)
    assert len(framed(BANNER, (long + b"\r\n\r\n") * 9, max_packet=300)) == 9


def test_the_name_of_an_event_is_known_without_parsing() -> None:
    """Only the first line counts; a response has no such name."""
    assert event_name(b"Event: Hangup\r\nA: b") == b"Hangup"
    assert event_name(b"Event: Hangup") == b"Hangup"
    assert event_name(b"Response: Success\r\nEvent: Hangup") is None


@given(st.text(max_size=40), st.sampled_from("\r\n\0"), st.text(max_size=40), st.booleans())
def test_a_line_end_in_any_key_or_value_is_refused(head: str, bad: str, tail: str, in_key: bool) -> None:
    """No value can begin a second header or a second action."""
    text = head + bad + tail
    with pytest.raises(UnsafeValue):
        checked({text: "v"} if in_key else {"Action": "Originate", "Channel": text})
    with pytest.raises(UnsafeValue):
        checked({"Action": "Originate", "Variable": ["A=1", f"B={text}"]})


@settings(max_examples=300)
@given(st.dictionaries(st.text(max_size=12), st.one_of(st.text(max_size=30), st.lists(st.text(max_size=9)))))
def test_what_is_not_refused_is_written_as_exactly_its_own_lines(action: dict[str, str | list[str]]) -> None:
    """Whatever the text, an accepted action has the lines that were asked for and no other."""
    try:
        safe = checked(action)
    except UnsafeValue:
        return
    lines = [f"{k}: {v}" for k, vs in safe.items() for v in ([vs] if isinstance(vs, str) else vs)]
    asked = [(k, v) for k, vs in action.items() for v in ([vs] if isinstance(vs, str) else vs)]
    wire = "".join(f"{line}\r\n" for line in lines)
    assert [tuple(line.split(": ", 1)) for line in wire.split("\r\n")[:-1]] == asked


@pytest.mark.parametrize(
    "item",
    ["A=1,B=2", "A=1,", ",A=1", "A=(1,2)", "f(a=1,B=2", 'A="1,2"', "A=\\", "A=\\\\,B=1", "A,B=1", "f(a),B=1"],
)
def test_a_variable_item_is_one_variable(item: str) -> None:
    """Asterisk splits the header at commas: what would be two variables, or lose a quote, is refused."""
    with pytest.raises(UnsafeValue):
        checked({"Action": "Originate", "Variable": ["SAFE=1", item]})


@pytest.mark.parametrize(
    "item", ["A=1", "A=", "A", "__A=a (b) c", "PJSIP_HEADER(add,X-Id)=5", r"A=1\,2", "A=agi://h:1/x?a=b", ""]
)
def test_a_variable_item_may_name_a_function_or_escape_its_commas(item: str) -> None:
    """Commas in a function's parentheses and after a backslash do not split."""
    assert checked({"Action": "Originate", "Variable": [item]})["Variable"] == [item]


def unsplit(item: str) -> list[str]:
    """Asterisk's own splitting of a Variable header (main/app.c, __ast_app_separate_args), in Python."""
    found, depth, quoted, chars = [""], 0, False, iter(item)
    for char in chars:
        if char == "\\":
            found[-1] += next(chars, "")
        elif char == '"':
            quoted = not quoted
        elif char == "," and not depth and not quoted:
            found.append("")
        else:
            depth = max(0, depth + {"(": 1, ")": -1}.get(char, 0))
            found[-1] += char
    return found


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=60))
def test_variable_carries_any_value_through_asterisks_splitting(value: str) -> None:
    """What `variable` writes is accepted, stays one variable, and arrives as it was."""
    item = variable("DOZVON_AMD", value)
    assert checked({"Action": "Originate", "Variable": [item]})["Variable"] == [item]
    assert unsplit(item) == [f"DOZVON_AMD={value}"]


def test_what_asterisk_would_throw_away_is_refused() -> None:
    """A line past Asterisk's buffer, or more lines than it reads, would be answered by nobody."""
    with pytest.raises(Invalid):
        checked({"Action": "Originate", "Channel": "я" * 600})
    with pytest.raises(Invalid):
        checked({"Action": "Originate", "Variable": [f"V{i}=1" for i in range(200)]})
    with pytest.raises(UnsafeValue):
        checked({"Action": "Originate", "Channel": "\ud800"})
