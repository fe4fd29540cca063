"""Hostile texts: what people who mean harm, and files that nobody checked, put into a field.

Pure: a die in, a text out. Each family is aimed at one reader of ours or of our neighbours: Asterisk's
manager, its dialplan and its files, the browser, the spreadsheet, the decoder.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise

#: What ends a line somewhere, or is no text at all.
BREAKS = (
    "\r\n", "\n", "\r", "\n\r", "\0", "\x0b", "\x0c", "\x1a", "\x1b[2J", "\x1c", "\x1e", "\x7f", "\x85",
    "\u2028", "\u2029", "\t",
)  # fmt: skip
#: A second action for the manager, should the first one's line end.
ACTIONS = (
    "\r\nAction: Originate\r\nChannel: Local/s@dozvon-agent\r\nApplication: System\r\nData: id\r\n\r\n",
    "\nAction: Command\nCommand: core stop now\n\n",
    "\r\n\r\nAction: Logoff\r\n\r\n",
    "\r\nVariable: DOZVON_NEXT=bridge",
    "\r\nActionID: 1\r\nEarlyMedia: true",
    "\0\r\nAction: UserEvent\r\nUserEvent: Hostile\r\n\r\n",
    "\u2028Action: UserEvent\u2028UserEvent: Hostile",
    "\x85Async: false",
)
#: What means something in a dialplan, a dial string or an expression.
DIALPLAN = (
    "${SHELL(id)}", "${CURL(http://127.0.0.1/)}", "${FILE(/etc/passwd)}", "$[1+1]", "${", "}", "$[", "]",
    ",", "&", "|", ";", '"', "'", "\\", "\\,", "(", ")", "%", "^", "<", ">", "=", "=>", "@", "#", "!", "*",
    "~",
    "&PJSIP/+79001234567@carrier", ",,System(id)", "|System|id", "@dozvon-agent", "/n",
    "Local/s@dozvon-agent",
    "PJSIP/${DIALLEDPEERNUMBER}", '" <+79009999999>', "u(${SHELL(id)})", "g", "U(x)", ",,touch /tmp/hostile",
)  # fmt: skip
#: What means something in Asterisk's configuration files.
CONFIG = (
    "\n#exec /bin/id\n", "#include /etc/passwd", "\n[general]\nenabled = yes\n", "\n[x](+)\n", ";--", "--;",
    "\\;", "(!)", "](!,dozvon-agent)", "\ntype = endpoint", ">", " = ", "\n=>", "[", "]", "\r[x]", "\\\n",
)  # fmt: skip
#: What a spreadsheet runs.
FORMULAS = (
    "=1+1", "=cmd|' /C calc'!A0", '=HYPERLINK("http://127.0.0.1/","x")', "+1+1", "-2+3", "@SUM(1)", "\t=1+1",
    "\r=1+1", "\n=1+1", "\uff1d1+1", "\uff0b1", "\uff0d1", "\uff20SUM(1)", " =1+1", '"=1+1', "'=1+1", ";=1+1",
    ',=1+1', ';"=1+1"', "x;=1+1", "x\n=1+1", "x\t=1+1", 'x"\n"=1+1', "=1+1\r\n=2", "x;\t-1", "\u200b=1+1",
    "\ufeff=1+1", "%0A=1+1", "=DDE(\"cmd\";\"/C calc\";\"!\")", ";;;@x", 'x";"+1',
)  # fmt: skip
#: What a browser runs, and what a template would.
MARKUP = (
    "<script>dzv(1)</script>", '"><script>dzv(1)</script>', "'><img src=x onerror=dzv(1)>",
    '" onmouseover="dzv(1)', "' onfocus='dzv(1)' autofocus='", "</title><script>dzv(1)</script>",
    "</textarea><svg/onload=dzv(1)>", "<svg><animate onbegin=dzv(1) attributeName=x>", "javascript:dzv(1)",
    "JaVaScRiPt:dzv(1)", "data:text/html,<script>dzv(1)</script>", "<!--", "-->", "]]>", "<![CDATA[",
    "{{7*7}}", "{% for x in ().__class__.__base__.__subclasses__() %}", "${7*7}", "<%= 7*7 %>", "#{7*7}",
    "&lt;script&gt;", "&#60;script&#62;", "<a href=javascript:dzv(1)>x</a>", "<iframe srcdoc='<script>'>",
    "<math><mi//xlink:href='data:x,<script>'>", "<style>*{display:none}</style>", "<base href=//127.0.0.1>",
    "<meta http-equiv=refresh content=0>", "<form action=//127.0.0.1><input name=csrf_token>",
    "\\u003cscript\\u003e", "hx-on:click=dzv(1)", '" hx-get="/status" hx-trigger="load', "</script>",
    "<noscript><p title='</noscript><img src=x onerror=dzv(1)>'>", "`${dzv(1)}`", "<plaintext>", "<x",
)  # fmt: skip
#: Marks that turn what is read, or hide in it.
TURNS = (
    "\u202e", "\u202d", "\u202a", "\u2066", "\u2067", "\u2069", "\u200e", "\u200f", "\u061c", "\u200b",
    "\u200d", "\ufeff", "\u2060", "\u00ad", "\u034f", "\ufff9", "\U000e0041",
)  # fmt: skip
#: Texts at the edges of what a decoder knows.
UNICODE = (
    "ß", "İ", "ı", "ſ", "ﬁ", "\uff1b", "\uff0c", "\uff1c", "\u037e", "\u02bc", "e\u0301" * 5,
    "Z\u0351\u036b" * 20,
    "\U0001f469\u200d\U0001f4bb", "\U0010ffff", "\ufffd", "\ufffe", "\ud800", "\udfff", "漢字", "العربية",
    "𝒜",
    "\N{LATIN SMALL LETTER A}" * 300, "Ж" * 700, "A" * 1_023, "0" * 5_000,
)  # fmt: skip
#: Numbers that are none, or cost.
NUMBERS = (
    "+79161234567", "89161234567", "+7916&PJSIP/+79001234567@carrier", "+7(916)123-45-67;tag=1", "101",
    "+7916123456\u0667", "\uff0b79161234567", "911", "+", "tel:+79161234567", "sip:+79161234567@127.0.0.1",
    "+79161234567,,,1", "+79161234567\r\nX: 1", "*72", "#31#+79161234567", "9" * 300, "+7 800 ${EXTEN}",
    "+882-16-1234567", "0x5A", "1e9", "NaN", "-1",
)  # fmt: skip

FAMILIES: Sequence[Sequence[str]] = (
    BREAKS, ACTIONS, DIALPLAN, CONFIG, FORMULAS, MARKUP, TURNS, UNICODE, NUMBERS,
)  # fmt: skip


def piece(dice: random.Random, *families: Sequence[str]) -> str:
    """One hostile piece, of these families or of any."""
    return dice.choice(dice.choice(families or FAMILIES))


def hostile(dice: random.Random, good: str = "", *families: Sequence[str]) -> str:
    """`good` with one to three pieces in it: before, within, behind; sometimes pieces alone, or noise."""
    way = dice.random()
    if way < 0.08:
        return "".join(chr(dice.choice((dice.randrange(0x20), dice.randrange(0x3000)))) for _ in range(12))
    made = "" if way < 0.2 else good
    for _ in range(dice.randint(1, 3)):
        at = dice.choice((0, len(made), dice.randint(0, len(made))))
        made = made[:at] + piece(dice, *families) + made[at:]
    return made


def sendable(text: str) -> str:
    """The text without lone surrogates, which no UTF-8 carries."""
    return text.encode("utf-8", "replace").decode()


def noise(dice: random.Random, most: int) -> bytes:
    """Bytes of chance: all values, or such as stand in protocols."""
    size = dice.randint(0, most)
    if dice.random() < 0.5:
        return dice.randbytes(size)
    return bytes(dice.choices(b'\r\n\0 :\t=()"\\%;,-_/.0123456789abcEVENTResponse\xc3\xff\x80', k=size))


def torn(dice: random.Random, data: bytes, most: int = 8) -> list[bytes]:
    """The bytes in pieces, cut at places of chance."""
    cuts = sorted({dice.randrange(len(data) + 1) for _ in range(dice.randint(0, most))} | {0, len(data)})
    return [data[one:other] for one, other in pairwise(cuts) if data[one:other]]


def mutated(dice: random.Random, data: bytes) -> bytes:
    """The bytes with one to six of them changed, lost, doubled, or a stretch moved or repeated."""
    made = bytearray(data)
    for _ in range(dice.randint(1, 6)):
        at = dice.randrange(len(made) + 1)
        match dice.randrange(6):
            case 0:
                made[at : at + 1] = bytes([dice.randrange(256)])
            case 1:
                del made[at : at + dice.choice((1, 1, 2, 16))]
            case 2:
                made[at:at] = made[at : at + dice.choice((1, 8, 64))]
            case 3:
                made[at:at] = dice.choice(
                    (b"\r\n", b"\n", b"\0", b"\r\n\r\n", b" ", b'"', b"\xff", b"%00", b"<")
                )
            case 4:
                made[at:at] = dice.choice(
                    (b"0", b"-1", b"4294967296", b"9" * 40, b"A" * 400, b";" * 20, b",")
                )
            case 5:
                other = dice.randrange(len(made) + 1)
                low, high = sorted((at, other))
                made = made[high:] + made[low:high] + made[:low]
    return bytes(made)
