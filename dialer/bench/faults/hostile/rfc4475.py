"""The torture messages of RFC 4475 (Session Initiation Protocol Torture Test Messages, May 2006), all 49.

Each stands under the RFC's own short name with its section. What a section says is tortuous in its message
is here octet for octet, with two exceptions: the sealed part of mpart01 is any octets, and inv2543's route
stays on this machine. What is not tortuous (names, tags, descriptions of media) is only as long as SIP asks.
Section 3.1.1 is right SIP that breaks weak parsers, 3.1.2 is wrong SIP, 3.2 to 3.4 are wrong for the
layers above.

https://www.rfc-editor.org/rfc/rfc4475
"""

from __future__ import annotations

from typing import Final

CRLF: Final = "\r\n"
#: A description of one voice stream.
SDP: Final = CRLF.join(
    (
        "v=0", "o=mhandley 29739 7272939 IN IP4 192.0.2.3", "s=-", "c=IN IP4 192.0.2.4", "t=0 0",
        "m=audio 49217 RTP/AVP 0 12", "m=video 3227 RTP/AVP 31", "a=rtpmap:31 LPC", "",
    )
)  # fmt: skip


def _of(first: str, *headers: str, body: str = "", length: str | None = "") -> bytes:
    """A message; `length`: the Content-Length, "" for the true one, None for none."""
    data = body.encode()
    lines = [first, *headers]
    if length is not None:
        lines.append(f"Content-Length: {length or len(data)}")
    return (CRLF.join(lines) + CRLF * 2).encode() + data


def _plain(
    method: str,
    name: str,
    *more: str,
    uri: str = "sip:user@example.com",
    to: str = "sip:user@example.com",
    sender: str = "<sip:caller@example.net>;tag=4475",
    cseq: str | None = None,
    line: str | None = None,
    body: str = "",
    length: str | None = "",
    via: str = "SIP/2.0/UDP host.example.net",
) -> bytes:
    """A request that is right but for what is given otherwise."""
    return _of(
        line or f"{method} {uri} SIP/2.0",
        f"To: {to}",
        f"From: {sender}",
        "Max-Forwards: 70",
        f"Call-ID: {name}.of4475@host.example.net",
        f"CSeq: {cseq or f'4475 {method}'}",
        f"Via: {via};branch=z9hG4bK{name}",
        *more,
        body=body,
        length=length,
    )


_CONTACT: Final = "Contact: <sip:caller@host.example.net>"
_SDP_TYPE: Final = "Content-Type: application/sdp"


def _invite(name: str, *more: str, **other: str | None) -> bytes:
    fields = {"body": SDP, **other}
    return _plain("INVITE", name, _CONTACT, _SDP_TYPE, *more, **fields)  # type: ignore[arg-type]


def _register(name: str, *more: str, **other: str | None) -> bytes:
    fields = {"uri": "sip:example.com", **other}
    return _plain("REGISTER", name, *more, **fields)  # type: ignore[arg-type]


def _response(
    first: str, name: str, *more: str, cseq: str = "35 INVITE", via: str | None = None, body: str = ""
) -> bytes:
    return _of(
        first,
        via or f"Via: SIP/2.0/UDP 192.0.2.105;branch=z9hG4bK{name}",
        f"Call-ID: {name}.of4475@host.example.net",
        "From: <sip:user@example.com>;tag=11141343",
        "To: <sip:user@example.edu>;tag=2229",
        f"CSeq: {cseq}",
        *more,
        body=body,
    )


def _wsinv() -> bytes:
    body = SDP.encode()
    head = CRLF.join(
        (
            "INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0",
            "TO :",
            " sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n",
            'from   : "J Rosenberg \\\\\\""       <sip:jdrosen@example.com>',
            "  ;",
            "  tag = 98asjd8",
            "MaX-fOrWaRdS: 0068",
            "Call-ID: wsinv.ndaksdj@192.0.2.1",
            f"Content-Length   : {len(body)}",
            "cseq: 0009",
            "  INVITE",
            "Via  : SIP  /   2.0",
            " /UDP",
            "    192.0.2.2;branch=390skdjuw",
            "s :",
            "NewFangledHeader:   newfangled value",
            " continued newfangled value",
            "UnknownHeaderWithUnusualValue: ;;,,;;,;",
            "Content-Type: application/sdp",
            "Route:",
            " <sip:services.example.com;lr;unknownwith=value;unknown-no-value>",
            "v:  SIP  / 2.0  / TCP     spindle.example.com   ;",
            "  branch  =   z9hG4bK9ikj8  ,",
            " SIP  /    2.0   / UDP  192.168.255.111   ; branch=",
            " z9hG4bK30239",
            'm:"Quoted string \\"\\"" <sip:jdrosen@example.com> ; newparam =',
            "      newvalue ;",
            "  secondparam ; q = 0.33",
        )
    )
    return (head + CRLF * 2).encode() + body


def _intmeth() -> bytes:
    method = "!interesting-Method0123456789_*+`.%indeed'~"
    user = "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
    password = "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"  # noqa: S105 - what looks like one in an address
    return _of(
        f"{method} sip:{user}:{password}@example.com SIP/2.0",
        "Via: SIP/2.0/UDP host1.example.com;branch=z9hG4bK-.!%66*_+`'~",
        f'To: "BEL:\\\x07 NUL:\\\x00 DEL:\\\x7f" <sip:{user}@example.com>',
        "From: token1~` token2'+_ token3*%!.- <sip:mundane@example.com>;"
        "fromParam''~+*_!.-%=\"работающий\";tag=_token~1'+`*%!-.",
        "Call-ID: intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{",
        f"CSeq: 139122385 {method}",
        "Max-Forwards: 255",
        "extensionHeader-!.%*+_`'~:\ufeff\u5927\u505c\u96fb",
    )


#: How the names of the Via fields of longreq are written.
_VIA_NAMES: Final = (
    "v:", "V:", "Via:", "ViA:", "VIa:", "VIA:", "via:", "viA:", "vIa:", "vIA:", "V : ", "v : ", "V  :",
    "v  :", "Via :", "Via  :",
)  # fmt: skip


def _longreq() -> bytes:
    def long(times: int) -> str:
        return "long" * times

    return _of(
        "INVITE sip:user@example.com SIP/2.0",
        f'To: "I have a user name of {"extreme" * 10} proportion"<sip:user@example.com:6000;unknownparam1='
        f"very"
        f"{long(20)}value;longparam{'name' * 25}=shortvalue;very{long(25)}ParameterNameWithNoValue>",
        f"F: sip:{'amazinglylongcallername' * 5}@example.net;tag=12{'982' * 50}424;unknownheaderparam"
        f"{'name' * 20}=unknowheaderparam{'value' * 15};unknownValueless{'paramname' * 10}",
        f"Call-ID: longreq.one{'really' * 20}longcallid",
        "CSeq: 3882340 INVITE",
        f"Unknown-{'Long' * 20}-Name: unknown-{'long' * 20}-value; unknown-{'long' * 20}-parameter-name = "
        f"unknown-"
        f"{'long' * 20}-parameter-value",
        "Via: SIP/2.0/TCP sip33.example.com",
        *(
            f"{name} SIP/2.0/TCP sip{32 - n}.example.com"
            for n, name in enumerate((*_VIA_NAMES, *["Via:"] * (32 - len(_VIA_NAMES))))
        ),
        f"Via: SIP/2.0/TCP host.example.com;received=192.0.2.5;branch=very{long(50)}branchvalue",
        "Max-Forwards: 70",
        f"Contact: <sip:{'amazinglylongcallername' * 5}@host5.example.net>",
        _SDP_TYPE,
        body=SDP,
    )


def _multipart() -> bytes:
    edge = "7a9cbec02ceef655"
    text = (
        f"--{edge}{CRLF}Content-Type: text/plain{CRLF}Content-Transfer-Encoding: binary{CRLF * 2}Hello{CRLF}"
    )
    kind = f"Content-Type: application/octet-stream{CRLF}Content-Transfer-Encoding: binary"
    sealed = f"--{edge}{CRLF}{kind}{CRLF * 2}"
    body = text.encode() + sealed.encode() + bytes(range(256)) + f"{CRLF}--{edge}--".encode()
    head = _plain(
        "MESSAGE", "mpart01", "Content-Transfer-Encoding: binary",
        f"Content-Type: multipart/mixed;boundary={edge}", length=str(len(body)),
        uri="sip:kumiko@example.org", to="<sip:kumiko@example.org>",
    )  # fmt: skip
    return head + body


#: Short name -> section and message, in the order of the RFC.
MESSAGES: Final[dict[str, tuple[str, bytes]]] = {
    # -- 3.1.1: right, and hard to read
    "wsinv": ("3.1.1.1", _wsinv()),
    "intmeth": ("3.1.1.2", _intmeth()),
    "esc01": (
        "3.1.1.3",
        _plain(
            "INVITE",
            "esc01",
            "C: application/sdp",
            "Contact:\r\n  <sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31>",
            uri="sip:sips%3Auser%40example.com@example.net",
            to="sip:%75se%72@example.com",
            sender="<sip:I%20have%20spaces@example.net>;tag=938",
            via="SIP/2.0/UDP host5.example.net",
            body=SDP,
        ).replace(b"Call-ID:", b"i:"),
    ),
    "escnull": (
        "3.1.1.4",
        _register(
            "escnull",
            "L:0",
            "Contact: <sip:%00@host5.example.com>",
            "Contact: <sip:%00%00@host5.example.com>",
            to="sip:null-%00-null@example.com",
            sender="sip:null-%00-null@example.com;tag=839923423",
            length=None,
        ),
    ),
    "esc02": (
        "3.1.1.5",
        _plain(
            "RE%47IST%45R",
            "esc02",
            "Contact: <sip:alias1@host1.example.com>",
            "C%6Fntact: <sip:alias2@host2.example.com>",
            "Contact: <sip:alias3@host3.example.com>",
            "l: 0",
            uri="sip:registrar.example.com",
            to='"%Z%45" <sip:resource@example.com>',
            sender='"%Z%45" <sip:resource@example.com>;tag=f232jadfj23',
            length=None,
        ).replace(b"bK", b"bK209%fzsnel234", 1),
    ),
    "lwsdisp": ("3.1.1.6", _plain("OPTIONS", "lwsdisp", sender="caller<sip:caller@example.com>;tag=323")),
    "longreq": ("3.1.1.7", _longreq()),
    "dblreq": (
        "3.1.1.8",
        _register("dblreq", "Contact: sip:j.user@host.example.com").replace(b"Call-ID:", b"I:")
        + _invite("dblreq2", uri="sip:joe@example.com", to="sip:joe@example.com"),
    ),
    "semiuri": (
        "3.1.1.9",
        _plain(
            "OPTIONS",
            "semiuri",
            "Accept: application/sdp, application/pkcs7-mime,\r\n        multipart/mixed,"
            " multipart/signed,\r\n        message/sip, message/sipfrag",
            uri="sip:user;par=u%40example.net@example.com",
            to="sip:j_user@example.com",
            length="0",
        ),
    ),
    "transports": (
        "3.1.1.10",
        _plain(
            "OPTIONS",
            "transports",
            "Via: SIP/2.0/SCTP t3.example.com;branch=z9hG4bK02",
            "Via: SIP/2.0/TLS t4.example.com;branch=z9hG4bK03",
            "Via: SIP/2.0/UNKNOWN t5.example.com;branch=z9hG4bK04",
            "Via: SIP/2.0/TCP t6.example.com;branch=z9hG4bK05",
            "l: 0",
            length=None,
        ),
    ),
    "mpart01": ("3.1.1.11", _multipart()),
    "unreason": (
        "3.1.1.12",
        _response(
            "SIP/2.0 200 = 2**3 * 5**2 но сто девяносто девять - простое",
            "unreason",
            "Contact: <sip:user@host105.example.com>",
            _SDP_TYPE,
            body=SDP,
        ),
    ),
    "noreason": (
        "3.1.1.13",
        _response("SIP/2.0 100 ", "noreason", "Contact: <sip:user@host105.example.com>"),
    ),
    # -- 3.1.2: wrong
    "badinv01": (
        "3.1.2.1",
        _plain("INVITE", "badinv01", 'Contact: "Joe" <sip:joe@example.org>;;;;', _SDP_TYPE, body=SDP).replace(
            b"host.example.net;branch=z9hG4bKbadinv01", b"192.0.2.15;;,;,,"
        ),
    ),
    "clerr": ("3.1.2.2", _invite("clerr", length="9999")),
    "ncl": ("3.1.2.3", _invite("ncl", length="-999")),
    "scalar02": (
        "3.1.2.4",
        _register(
            "scalar02",
            "Contact: <sip:user@host129.example.com>;expires=280297596632815",
            "Expires: 1" + "0" * 100,
            cseq="36893488147419103232 REGISTER",
            length="0",
        ).replace(b"Max-Forwards: 70", b"Max-Forwards: 300"),
    ),
    "scalarlg": (
        "3.1.2.5",
        _response(
            "SIP/2.0 503 Service Unavailable",
            "scalarlg",
            "Retry-After: 949302838503028349304023988",
            'Warning: 1812 overture "In Progress"',
            cseq="9292394834772304023312 OPTIONS",
        ),
    ),
    "quotbal": ("3.1.2.6", _invite("quotbal", to='"Mr. J. User <sip:j.user@example.com>')),
    "ltgtruri": ("3.1.2.7", _invite("ltgtruri", uri="<sip:user@example.com>")),
    "lwsruri": ("3.1.2.8", _invite("lwsruri", uri="sip:user@example.com; lr")),
    "lwsstart": ("3.1.2.9", _invite("lwsstart", line="INVITE  sip:user@example.com  SIP/2.0")),
    "trws": ("3.1.2.10", _plain("OPTIONS", "trws", line="OPTIONS sip:remote-target@example.com SIP/2.0  ")),
    "escruri": (
        "3.1.2.11",
        _invite("escruri", uri="sip:user@example.com?Route=%3Csip:example.com%3E"),
    ),
    "baddate": ("3.1.2.12", _invite("baddate", "Date: Fri, 01 Jan 2010 16:00:00 EST")),
    "regbadct": (
        "3.1.2.13",
        _register("regbadct", "Contact: sip:user@example.com?Route=%3Csip:sip.example.com%3E"),
    ),
    "badaspec": (
        "3.1.2.14",
        _plain("OPTIONS", "badaspec", to='"Watson, Thomas" < sip:t.watson@example.org >'),
    ),
    "baddn": (
        "3.1.2.15",
        _plain(
            "OPTIONS",
            "baddn",
            to="Watson, Thomas <sip:t.watson@example.org>",
            sender="Bell, Alexander <sip:a.g.bell@example.com>;tag=43",
        ),
    ),
    "badvers": (
        "3.1.2.16",
        _plain(
            "OPTIONS",
            "badvers",
            line="OPTIONS sip:t.watson@example.org SIP/7.0",
            via="SIP/7.0/UDP c.example.com",
        ),
    ),
    "mismatch01": ("3.1.2.17", _plain("OPTIONS", "mismatch01", cseq="8 INVITE")),
    "mismatch02": (
        "3.1.2.18",
        _plain("NEWMETHOD", "mismatch02", _CONTACT, _SDP_TYPE, cseq="8 INVITE", body=SDP),
    ),
    "bigcode": ("3.1.2.19", _response("SIP/2.0 4294967301 better not break the receiver", "bigcode")),
    # -- 3.2: wrong for transactions
    "badbranch": (
        "3.2.1",
        _plain("OPTIONS", "badbranch").replace(b"branch=z9hG4bKbadbranch", b"branch=z9hG4bK"),
    ),
    # -- 3.3: wrong for what stands above
    "insuf": (
        "3.3.1",
        _of(
            "INVITE sip:user@example.com SIP/2.0",
            "CSeq: 193942 INVITE",
            "Via: SIP/2.0/UDP 192.0.2.95;branch=z9hG4bKkdj.insuf",
            _SDP_TYPE,
            body=SDP,
        ),
    ),
    "unkscm": ("3.3.2", _plain("OPTIONS", "unkscm", uri="nobodyKnowsThisScheme:totallyopaquecontent")),
    "novelsc": ("3.3.3", _plain("OPTIONS", "novelsc", uri="soap.beep://192.0.2.103:3002")),
    "unksm2": (
        "3.3.4",
        _register(
            "unksm2",
            "Contact: <name:John_Smith>",
            to="isbn:2983792873",
            sender="<http://www.example.com>;tag=3234233",
        ),
    ),
    "bext01": (
        "3.3.5",
        _plain(
            "OPTIONS",
            "bext01",
            "Proxy-Require: noProxiesSupportThis, norDoAnyProxiesSupportThis",
            "Require: nothingSupportsThis, nothingSupportsThisEither",
        ),
    ),
    "invut": (
        "3.3.6",
        _plain(
            "INVITE",
            "invut",
            _CONTACT,
            "Content-Type: application/unknownformat",
            body='<audio>\r\n <pcmu port="443"/>\r\n</audio>\r\n',
        ),
    ),
    "regaut01": (
        "3.3.7",
        _register(
            "regaut01",
            "Authorization: NoOneKnowsThisScheme opaque-data=here",
            "Content-Length:0",
            length=None,
        ),
    ),
    "multi01": (
        "3.3.8",
        _invite(
            "multi01",
            "CSeq: 59 INVITE",
            "Call-ID: multi01.98asdh@192.0.2.1",
            "Max-Forwards: 5",
            "From: <sip:other@example.net>;tag=392",
            "To: <sip:nobody@example.com>",
            "Contact: <sip:a@b.example>",
        ),
    ),
    "mcl01": (
        "3.3.9",
        _plain(
            "OPTIONS",
            "mcl01",
            "Content-Length: 13",
            "Content-Length: 5",
            "Content-Type: text/plain",
            body="There's no way to know how many octets are supposed to be here.\r\n",
            length=None,
        ),
    ),
    "bcast": (
        "3.3.10",
        _response(
            "SIP/2.0 200 OK",
            "bcast",
            "Contact: <sip:user@host28.example.com>",
            _SDP_TYPE,
            body=SDP,
            via="Via: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923\r\nVia: SIP/2.0/UDP 255.255.255."
            "255;branch="
            "z9hG4bK1saber23",
        ),
    ),
    "zeromf": ("3.3.11", _plain("OPTIONS", "zeromf").replace(b"Max-Forwards: 70", b"Max-Forwards: 0")),
    "cparam01": ("3.3.12", _register("cparam01", "Contact: sip:+19725552222@gw1.example.net;unknownparam")),
    "cparam02": ("3.3.13", _register("cparam02", "Contact: <sip:+19725552222@gw1.example.net;unknownparam>")),
    "regescrt": (
        "3.3.14",
        _register(
            "regescrt", "M: <sip:user@example.com?Route=%3Csip:sip.example.com%3E>", "L:0", length=None
        ),
    ),
    "sdp01": ("3.3.15", _invite("sdp01", "Accept: text/nobodyKnowsThis")),
    # -- 3.4: older than SIP/2.0 as it is
    "inv2543": (
        "3.4.1",
        _of(
            "INVITE sip:UserB@example.com SIP/2.0",
            "Via: SIP/2.0/UDP iftgw.example.com",
            "From: <sip:+13035551111@ift.client.example.net;user=phone>",
            "Record-Route: <sip:UserB@example.com;maddr=127.0.0.1>",
            "To: sip:+16505552222@ss1.example.net;user=phone",
            "Call-ID: inv2543.1717@ift.client.example.com",
            "CSeq: 56 INVITE",
            _SDP_TYPE,
            body=SDP,
            length=None,
        ),
    ),
}
