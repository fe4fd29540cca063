"""The words of queues: their rules, and where callers go from them. See `words`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: kind (the message's context) -> name -> text
QUEUE_WORDS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "queue_rule": {
            "longest_idle": "longest idle",
            "least_busy": "fewest talks today",
            "highest_level": "highest level",
        },
        "queue_overflow": {
            "flow": "back to the flow",
            "voicemail": "voicemail",
            "queue": "another queue",
        },
        "missed_rule": {
            "usual": "as for all numbers",
            "off": "nobody",
            "queue": "who waited in a queue",
            "all": "all, also who left the flow",
        },
        "takes": {
            "both": "all",
            "inbound": "incoming",
            "outbound": "outgoing",
        },
    }
)
