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
        "takes": {
            "both": "all",
            "inbound": "incoming",
            "outbound": "outgoing",
        },
    }
)
