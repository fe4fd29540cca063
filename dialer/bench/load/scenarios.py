"""SIPp's scenarios: customers who answer, talk and leave, phones that wait, and numbers that only ring.

In the texts `{...}` is filled in by us, `[...]` by SIPp.
"""

from __future__ import annotations

from typing import Final

_HEAD = '<?xml version="1.0" encoding="ISO-8859-1"?>\n<!DOCTYPE scenario SYSTEM "sipp.dtd">\n'

_REPLY = """<send{retrans}><![CDATA[

SIP/2.0 {status}
[last_Via:]
[last_From:]
[last_To:];tag=[pid]d[call_number]
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:[local_ip]:[local_port];transport=[transport]>
{rest}
]]></send>
"""

#: What makes a dialogue of the first reply.
_TAG = ";tag=[pid]d[call_number]"
_NO_BODY = "Content-Length: 0\n"


def _body(port: str) -> str:
    """A 200's end that offers alaw on this port, and keys by RFC 4733."""
    return f"""Content-Type: application/sdp
Content-Length: [len]

v=0
o=sipp 1 1 IN IP4 127.0.0.1
s=-
c=IN IP4 127.0.0.1
t=0 0
m=audio {port} RTP/AVP 8 101
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
"""


def _reply(status: str, rest: str = _NO_BODY, *, retrans: bool = False) -> str:
    again = ' retrans="500"' if retrans else ""
    return _REPLY.replace("{retrans}", again).replace("{status}", status).replace("{rest}", rest)


def _pause(ms: int) -> str:
    return f'<pause milliseconds="{ms}"/>\n' if ms else ""


def _customer(ring_ms: int, talk_ms: int, speak: str, port: str) -> str:
    """Rings, answers, says something or nothing, hangs up."""
    return (
        f'{_HEAD}<scenario name="customer">\n'
        '<recv request="INVITE"><action>\n'
        '<ereg regexp="sip:[^&gt;]*" search_in="hdr" header="Contact:" assign_to="1"/>\n'
        "</action></recv>\n"
        + _reply("180 Ringing")
        + _pause(ring_ms)
        + _reply("200 OK", _body(port), retrans=True)
        + """<recv request="ACK"><action>
<ereg regexp=".*" search_in="hdr" header="From:" assign_to="2"/>
<ereg regexp=".*" search_in="hdr" header="To:" assign_to="3"/>
</action></recv>
"""
        + speak
        # An Asterisk with send_connected_line tells whom the call was joined with: a re-INVITE in the talk.
        + f"""<label id="1"/>
<recv request="INVITE" optional="true" timeout="{talk_ms}" ontimeout="4" next="2"/>
<recv request="BYE" next="3"/>
<label id="2"/>
"""
        + _reply("200 OK", _body(port), retrans=True).replace(_TAG, "")
        + '<recv request="ACK" next="1"/>\n<label id="3"/>\n'
        + _reply("200 OK").replace(_TAG, "").replace("<send>", '<send next="5">')
        + """<label id="4"/>
<send retrans="500"><![CDATA[

BYE [$1] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From:[$3]
To:[$2]
[last_Call-ID:]
CSeq: 10 BYE
Max-Forwards: 70
Content-Length: 0

]]></send>
<recv response="200"/>
<label id="5"/>
<nop/>
</scenario>
"""
    )


def talking_customer(ring_ms: int, talk_ms: int, voice: str) -> str:
    """A person who answers, sends voice at 50 packets a second from the file and hangs up."""
    speak = f'<nop><action><exec rtp_stream="{voice},-1,8,PCMA/8000"/></action></nop>\n'
    return _customer(ring_ms, talk_ms, speak, "[rtpstream_audio_port]")


def silent_customer(ring_ms: int, talk_ms: int) -> str:
    """The same without a voice packet."""
    return _customer(ring_ms, talk_ms, "", "[media_port]")


def ringing_number(ring_ms: int) -> str:
    """A number that rings so long and is then busy."""
    return (
        f'{_HEAD}<scenario name="ringing">\n<recv request="INVITE"/>\n'
        + _reply("180 Ringing")
        + _pause(ring_ms)
        + _reply("486 Busy Here", retrans=True)
        + '<recv request="ACK"/>\n</scenario>\n'
    )


def phone(voice_port: int) -> str:
    """An agent's phone: answers at once, has its voice on this port (see voice.py), waits for the end."""
    return (
        f'{_HEAD}<scenario name="phone">\n<recv request="INVITE"/>\n'
        + _reply("200 OK", _body(str(voice_port)), retrans=True)
        + '<recv request="ACK"/>\n<recv request="BYE"/>\n'
        + _reply("200 OK").replace(_TAG, "")
        + "</scenario>\n"
    )


def _register(cseq: int, credentials: str = "") -> str:
    """One REGISTER of a phone of the file, sent beside the phone: the Path says where calls are to go."""
    return f"""<send retrans="500"><![CDATA[

REGISTER sip:[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:[field0]@[remote_ip]>;tag=[pid]r[call_number]
To: <sip:[field0]@[remote_ip]>
Call-ID: [call_id]
CSeq: {cseq} REGISTER
Contact: <sip:[field0]@[local_ip]:[local_port]>
Path: <sip:[field0]@[local_ip]:[field2];lr>
Supported: path
Max-Forwards: 70
Expires: 60
{credentials}Content-Length: 0

]]></send>
"""


#: Registers the phones of a file, one a call: field0 the user, field1 its secret as SIPp wants it, field2
#: the port where it answers.
REGISTER: Final = (
    f'{_HEAD}<scenario name="register">\n'
    + _register(1)
    + '<recv response="401" auth="true"/>\n'
    + _register(2, "[field1]\n")
    + '<recv response="200"/>\n</scenario>\n'
)
