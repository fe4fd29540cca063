"""The AGI protocol as a pure codec: what Asterisk sends is understood, what we send is understood by it."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dialer.asterisk.agi_codec import (
    MAX_COMMAND_BYTES,
    MAX_WORDS,
    AgiDecoder,
    AgiLimits,
    AgiMessage,
    AgiReply,
    AgiRequest,
    AgiSignal,
    command_name,
    encode_command,
    quote,
    variable_name,
)
from dialer.errors import BadAgi, DozvonError, Invalid, UnsafeValue

ENV = (
    b"agi_network: yes\nagi_network_script: customer?y=1&z=a%20b\n"
    b"agi_request: agi://127.0.0.1:4573/customer?y=1&z=a%20b\nagi_channel: PJSIP/trunk-00000001\n"
    b"agi_uniqueid: 3f0e\nagi_callerid: unknown\nagi_arg_1: HUMAN\nagi_arg_2: \nagi_arg_3: th ree\n\n"
)


def messages(data: bytes, *, after_env: bool = True, limits: AgiLimits | None = None) -> list[AgiMessage]:
    """Every message of `data`, which is what comes behind the environment unless said otherwise."""
    decoder = AgiDecoder(limits)
    found: list[AgiMessage] = []
    decoder.receive(ENV + data if after_env else data)
    while (message := decoder.next_message()) is not None:
        found.append(message)
    return found[1:] if after_env else found


def asterisk_words(line: bytes) -> list[str]:
    """The words as Asterisk's own parser finds them: a model of parse_args in res_agi.c, byte by byte."""
    words: list[bytearray] = []
    quoted = escaped = False
    between = True
    for code in line.removesuffix(b"\n"):
        character = bytes([code])
        if not escaped:
            if character == b'"':
                quoted = not quoted
                if quoted and between:
                    words.append(bytearray())
                    between = False
                continue
            if character in b" \t" and not quoted:
                between = True
                continue
            if character == b"\\":
                escaped = True
                continue
        if between:
            words.append(bytearray())
            between = False
        words[-1] += character
        escaped = False
    return [word.decode() for word in words]


# -- commands ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("ANSWER",), b"ANSWER\n"),
        (("SET", "VARIABLE", "DOZVON_NEXT", "bridge"), b"SET VARIABLE DOZVON_NEXT bridge\n"),
        (("SET", "VARIABLE", "X", "two words"), b'SET VARIABLE X "two words"\n'),
        (("SET", "VARIABLE", "X", ""), b'SET VARIABLE X ""\n'),
        (("SET", "VARIABLE", "X", 'a"b'), b'SET VARIABLE X "a\\"b"\n'),
        (("SET", "VARIABLE", "X", "a\\"), b'SET VARIABLE X "a\\\\"\n'),
        (("VERBOSE", "ключ"), 'VERBOSE "ключ"\n'.encode()),
    ],
)
def test_a_command_is_its_words_with_quotes_where_they_are_needed(
    words: tuple[str, ...], line: bytes
) -> None:
    """Plain words stay as they are; blanks, quotes, backslashes and other scripts are quoted."""
    assert encode_command(*words) == line


@given(st.lists(st.text(st.characters(exclude_characters="\n\r\0", exclude_categories=["Cs"]), max_size=40)))
@example(['"', "\\", '\\"', "", " ", "\t", 'a"b\\ c', "\\\\"])
def test_asterisk_reads_back_every_word_exactly(words: list[str]) -> None:
    """What we quote comes out of Asterisk's parser unchanged, for every text that may be sent."""
    assert asterisk_words(encode_command("NOOP", *words)) == ["NOOP", *words]


@pytest.mark.parametrize("bad", ["a\nHANGUP", "a\r", "\0", "x\ud800"])
def test_a_value_that_could_start_another_command_is_refused(bad: str) -> None:
    """Line ends, NUL and half characters are refused, and the value itself is not in the message."""
    with pytest.raises(UnsafeValue) as caught:
        encode_command("SET", "VARIABLE", "X", bad)
    assert caught.value.details["field"] == "AGI word 4"
    assert bad not in str(caught.value)


def test_a_command_that_asterisk_would_cut_in_two_is_refused() -> None:
    """The longest line that Asterisk reads whole is sent; one byte more is refused."""
    room = MAX_COMMAND_BYTES - len("VERBOSE \n")
    assert len(encode_command("VERBOSE", "a" * room)) == MAX_COMMAND_BYTES
    with pytest.raises(Invalid):
        encode_command("VERBOSE", "a" * (room + 1))
    with pytest.raises(Invalid):
        encode_command("VERBOSE", "я" * (room // 2 + 1))
    with pytest.raises(Invalid):
        encode_command(*["A"] * (MAX_WORDS + 1))


@pytest.mark.parametrize("words", [(), ("",), ("", "A")])
def test_a_command_has_a_name(words: tuple[str, ...]) -> None:
    """No words, or an empty first one, are no command."""
    with pytest.raises(Invalid):
        encode_command(*words)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("SET", "VARIABLE", "X", "+79161234567"), "SET VARIABLE"),
        (("SAY", "DIGITS", "79161234567", ""), "SAY DIGITS"),
        (("EXEC", "Dial", "PJSIP/79161234567"), "EXEC"),
        (("ANSWER",), "ANSWER"),
        (("79161234567",), "AGI command"),
    ],
)
def test_the_name_of_a_command_never_holds_its_values(words: tuple[str, ...], name: str) -> None:
    """Errors and logs name a command without what it carries."""
    assert command_name(words) == name


@pytest.mark.parametrize("name", ["DOZVON_NEXT", "_X", "__X", "a1"])
def test_a_plain_variable_name_is_taken(name: str) -> None:
    """Letters, digits and underscores, with Asterisk's inheritance marks in front."""
    assert variable_name(name) == name


@pytest.mark.parametrize("name", ["", "1A", "SHELL(id)", "A B", "A\n", "ПЕРЕМЕННАЯ", "___X", "A" * 81])
def test_a_variable_name_that_could_call_a_function_is_refused(name: str) -> None:
    """SET VARIABLE would run a dialplan function by such a name."""
    with pytest.raises(Invalid):
        variable_name(name)


# -- the request -------------------------------------------------------------------------------------------


def request_of(*lines: str) -> AgiRequest:
    """The request of an environment of these lines and a channel."""
    [request] = messages("\n".join([*lines, "agi_uniqueid: 1.1", "", ""]).encode(), after_env=False)
    assert isinstance(request, AgiRequest)
    return request


def test_the_environment_gives_route_query_arguments_and_channel() -> None:
    """The path names the route; query and arguments are parsed; an empty argument keeps its place."""
    [request] = messages(ENV, after_env=False)
    assert isinstance(request, AgiRequest)
    assert request.script == "customer"
    assert request.query == {"y": "1", "z": "a b"}
    assert request.args == ("HUMAN", "", "th ree")
    assert request.channel_id == "3f0e"
    assert request.env["channel"] == "PJSIP/trunk-00000001"


@pytest.mark.parametrize(
    ("line", "script", "query"),
    [
        ("agi_network_script: customer", "customer", {}),
        ("agi_network_script: a/b/", "a/b", {}),
        ("agi_network_script: %D0%BA?n=%D1%8F", "к", {"n": "я"}),
        ("agi_network_script: x?a&b=&c=1=2", "x", {"a": "", "b": "", "c": "1=2"}),
        ("agi_network_script: x?a=1&a=2", "x", {"a": "1"}),
        ("agi_network_script: ", "", {}),
        ("agi_network_script:x", "x", {}),
        ("agi_request: agi://127.0.0.1:4573/x?q=1", "x", {"q": "1"}),
        ("agi_request: agi://[::1]:4573/x", "x", {}),
        ("agi_request: agi://host", "", {}),
        ("agi_request: //[", "", {}),
    ],
)
def test_an_address_is_a_route_and_a_query(line: str, script: str, query: dict[str, str]) -> None:
    """The address comes by itself or, where it does not, within the whole one."""
    request = request_of(line)
    assert (request.script, request.query) == (script, query)


def test_a_caller_cannot_replace_what_asterisk_said_first() -> None:
    """Of a variable sent twice the first counts, and lines that are none are passed over."""
    request = request_of("agi_network_script: a", "agi_calleridname: x", "boo", "agi_network_script: b")
    assert request.script == "a"


def test_arguments_end_at_the_first_gap() -> None:
    """A number out of the row makes no list of that length."""
    assert request_of("agi_arg_1: a", "agi_arg_3: c", "agi_arg_999999999: z").args == ("a",)


def test_a_request_does_not_show_numbers_when_printed() -> None:
    """Its text form, which a trace may print, holds neither environment nor arguments."""
    request = request_of("agi_callerid: +79161234567", "agi_arg_1: 79161234567")
    assert "79161234567" not in repr(request)


@pytest.mark.parametrize(
    "data",
    [
        b"\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"agi_network_script: x\nagi_uniqueid: \n\n",
        b"a" * 8_192,
        b"a" * 9_000 + b"\n",
        b"agi_x: 1\n" * 257,
        (b"agi_x: " + b"y" * 8_000 + b"\n") * 9,
        b"agi_uniqueid: 1\nagi_network_script: x?" + b"a=1&" * 64 + b"a=1\n\n",
        b"agi_uniqueid: 1\nagi_x: \0\n",
    ],
)
def test_what_is_not_asterisk_is_refused(data: bytes) -> None:
    """No channel, lines or counts past the limits, NUL: an error, not a guess."""
    with pytest.raises(BadAgi):
        messages(data, after_env=False)


# -- replies -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("200 result=1", AgiReply(200, "1")),
        ("200 result=-1", AgiReply(200, "-1")),
        ("200 result=0 endpos=8000", AgiReply(200, "0", None, "endpos=8000")),
        ("200 result=1 (bridge)", AgiReply(200, "1", "bridge")),
        ("200 result=1 ()", AgiReply(200, "1", "")),
        ("200 result=1 (two words)", AgiReply(200, "1", "two words")),
        ("200 result=1 ( a )", AgiReply(200, "1", " a ")),
        ("200 result=1 ((a) (b))", AgiReply(200, "1", "(a) (b)")),
        ("200 result=1 (a) endpos=1)", AgiReply(200, "1", "a) endpos=1")),
        ("200 result=1 (ключ)", AgiReply(200, "1", "ключ")),
        ("200 result= (timeout)", AgiReply(200, "", "timeout")),
        ("200 result=(timeout)", AgiReply(200, "", "timeout")),
        ("200 result=123 (timeout)", AgiReply(200, "123", "timeout")),
        ("200 result=12*#", AgiReply(200, "12*#")),
        ("200 result=-1 (hangup) endpos=160", AgiReply(200, "-1", "hangup", "endpos=160")),
        ("200 result=1 ((a)(b)) endpos=22", AgiReply(200, "1", "(a)(b)", "endpos=22")),
        (
            '200 result=1 (speech) endpos=0 results=1 text0="x (y) z" end=1',
            AgiReply(200, "1", "speech", 'endpos=0 results=1 text0="x (y) z" end=1'),
        ),
        ("200 result=1 (a\nb)", AgiReply(200, "1", "a\nb")),
        ("200 result=1 (\n\n)", AgiReply(200, "1", "\n\n")),
        (
            "503 result=-2 Memory allocation failure",
            AgiReply(503, text="result=-2 Memory allocation failure"),
        ),
        ("510 Invalid or unknown command", AgiReply(510, text="Invalid or unknown command")),
        (
            "511 Command Not Permitted on a dead channel or intercept routine",
            AgiReply(511, text="Command Not Permitted on a dead channel or intercept routine"),
        ),
        (
            "520 Invalid command syntax.  Proper usage not available.",
            AgiReply(520, text="Invalid command syntax.  Proper usage not available."),
        ),
        (
            "520-Wrong.\nUsage: X <y>\n 200 result=1\n520 End of proper usage.",
            AgiReply(520, text="Wrong.\nUsage: X <y>\n 200 result=1"),
        ),
        ("520-Wrong.\nUsage: X <y>520 End of proper usage.", AgiReply(520, text="Wrong.\nUsage: X <y>")),
        ("520-Wrong.\n520-Usage: X\n520 End.", AgiReply(520, text="Wrong.\nUsage: X")),
        ("100 Trying...\n200 result=1", AgiReply(200, "1")),
    ],
)
def test_a_reply_is_read(line: str, reply: AgiReply) -> None:
    """Every form of reply that Asterisk writes, on one line or several, with either line end."""
    assert messages(f"{line}\n".encode()) == [reply]
    assert messages(f"{line}\r\n".encode()) == [reply]
    assert messages(f"{line}\n200 result=7\n".encode()) == [reply, AgiReply(200, "7")]


def test_a_hangup_between_any_two_lines_moves_no_reply() -> None:
    """HANGUP before, between and inside replies is told, and each reply keeps its place."""
    data = b"HANGUP\n200 result=1\nHANGUP\n520-Wrong.\nHANGUP\nUsage: X\n520 End of proper usage.\n"
    data += b"HANGUP\n200 result=2\n"
    found = messages(data)
    assert [m for m in found if m is not AgiSignal.HANGUP] == [
        AgiReply(200, "1"),
        AgiReply(520, text="Wrong.\nUsage: X"),
        AgiReply(200, "2"),
    ]
    assert found.count(AgiSignal.HANGUP) == 4


@pytest.mark.parametrize(
    "data",
    [
        b"\n",
        b"200\n",
        b"200 \n",
        b"200 1\n",
        b"hello\n",
        b"2000 result=1\n",
        b"hangup\n",
        b"600 result=1\n",
        "٢٠٠ result=1\n".encode(),
        b"200 result=1 (\0)\n",
        b"HANGUP\n" * 9,
        b"100 Trying...\n" * 9,
        b"520-Wrong.\n" + b"x\n" * 40_000,
        b"200 result=1 (" + b"x\n" * 40_000,
        b"200 result=1 (" + b"x" * 8_192,
    ],
)
def test_what_is_no_reply_is_refused(data: bytes) -> None:
    """A line that is neither a reply nor HANGUP, or one without end, is an error."""
    with pytest.raises(BadAgi):
        messages(data)


def test_each_reply_may_have_interim_lines() -> None:
    """Their limit is one reply's, not the session's."""
    assert len(messages((b"100 Trying...\n" * 8 + b"200 result=1\n") * 20)) == 20


def test_an_error_is_for_good() -> None:
    """After it nothing more is read: which reply belongs to which command cannot be known."""
    decoder = AgiDecoder()
    decoder.receive(ENV + b"what?\n")
    assert isinstance(decoder.next_message(), AgiRequest)
    for _ in range(2):
        with pytest.raises(BadAgi):
            decoder.next_message()
        decoder.receive(b"200 result=1\n")


def test_a_torn_message_is_known_from_a_whole_one() -> None:
    """`mid_message` is what an end of the stream is judged by."""
    decoder = AgiDecoder()
    assert not decoder.mid_message
    for data, torn in [
        (b"agi_uni", True),
        (b"queid: 1\n", True),
        (b"\n", False),
        (b"HAN", True),
        (b"GUP\n", False),
    ]:
        decoder.receive(data)
        while decoder.next_message() is not None:
            pass
        assert decoder.mid_message is torn, data


# -- anything at all ----------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        *(
            ENV,
            b"\n",
            b"\r\n",
            b"HANGUP",
            b"HANGUP\n",
            b"200 result=1\n",
            b"200 result=1 (",
            b")\n",
            b"520-x\n",
        ),
        *(b"520 End of proper usage.\n", b"510 no\n", b"511 dead\n", b"100 Trying\n", b"agi_uniqueid: 1\n"),
        *(b"agi_network_script: ?a=%zz&;=\n", b"agi_arg_1: x\n", b"\xff\xfe", b"\0", b"200 ", b"result="),
    ]
)
ANYTHING = st.lists(PIECES | st.binary(max_size=30), max_size=40).map(b"".join)
SMALL = AgiLimits(
    line_bytes=200, env_bytes=600, env_lines=20, reply_bytes=300, query_fields=4, hangups=3, interims=2
)


def outcome(chunks: list[bytes]) -> tuple[list[AgiMessage], str]:
    """The messages of these chunks, and the error that ended them."""
    decoder = AgiDecoder(SMALL)
    found: list[AgiMessage] = []
    for chunk in chunks:
        decoder.receive(chunk)
        try:
            while (message := decoder.next_message()) is not None:
                found.append(message)
        except BadAgi as error:
            return found, str(error)
    return found, ""


@settings(max_examples=400)
@given(ANYTHING, st.lists(st.integers(min_value=1, max_value=60), max_size=60))
def test_any_bytes_give_messages_or_one_error_however_they_are_torn(data: bytes, sizes: list[int]) -> None:
    """Bytes in one piece, in any pieces and one by one give the same messages and the same error."""
    whole = outcome([data])
    cuts, rest = [], data
    for size in sizes:
        cuts.append(rest[:size])
        rest = rest[size:]
    assert outcome([*cuts, rest]) == whole
    assert outcome([bytes([code]) for code in data]) == whole
    assert len(whole[0]) <= data.count(b"\n")


@given(st.text(st.characters(exclude_characters="\n\r\0", exclude_categories=["Cs"]), max_size=300))
@example("a) endpos=1")
@example("(")
@example(")")
def test_a_value_that_asterisk_sends_back_comes_back_unchanged(value: str) -> None:
    """GET VARIABLE of any text without line ends, parentheses in any order."""
    if ")" not in value and value.endswith("("):
        value += "x"
    [reply] = messages(f"200 result=1 ({value})\n".encode())
    assert reply == AgiReply(200, "1", value)


@given(st.lists(st.text(), max_size=5))
def test_encoding_raises_its_own_errors_only(words: list[str]) -> None:
    """Any words at all: a line with one line end, at its end, or an error of ours."""
    try:
        line = encode_command(*words)
    except DozvonError:
        return
    assert line.index(b"\n") == len(line) - 1


def test_quote_names_what_it_refuses() -> None:
    """The error says which field, so that a person can mend it."""
    with pytest.raises(UnsafeValue, match="DOZVON_AGENT"):
        quote("a\nb", what="DOZVON_AGENT")
