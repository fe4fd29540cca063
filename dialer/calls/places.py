"""Where the dialplan leads customers and phones: the contexts of extensions_dozvon.conf that the server moves
them to."""

from __future__ import annotations

from typing import Final

from dialer.calls.model import Call

#: An agent's phone; its extensions: it waits, it is with a colleague, it is in a conference.
AGENT: Final = "dozvon-agent"
WAIT, WITH = "s", "with"
#: A customer on hold.
HELD: Final = "dozvon-held"
#: A customer with two others; the extension of that name is the others'.
ROOM: Final = "dozvon-room"
IN_ROOM: Final = "room"
#: A destination that an agent has called besides.
THIRD: Final = "dozvon-third"
#: A customer who is put through to a destination, and one who hears a message to its end.
FORWARD: Final = "dozvon-forward"
MESSAGE: Final = "dozvon-message"
#: A customer who says how the talk was.
SURVEY: Final = "dozvon-survey"
#: The labels in a customer's own context: back into the talk; ask the server what is next.
TALK, ASK = "bridge", "ask"


def context_of(call: Call) -> str:
    """Where the dialplan leads the customer."""
    return "dozvon-caller" if call.inbound else "dozvon-customer"
