"""The words of the desk's keys and of third parties of talks."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

TALK_WORDS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "shortcut": {
            "hold": "Hold, and back to the talk",
            "mute": "Mute me, and be heard again",
            "record": "Pause the recording, and record again",
            "keys": "Digits to send",
            "transfer": "Choose to whom",
            "ask": "Ask who is chosen first",
            "put_through": "Transfer to who is chosen",
            "confer": "All three together",
            "hand_over": "Leave the customer to whom you asked",
            "back": "Back to the customer alone",
            "message": "Choose a message to leave",
            "hang_up": "End the call",
            "note": "Write a note",
            "card": "Change the card",
            "dial": "Call who is on the card",
            "skip": "Skip who is on the card",
            "ready": "Ready for calls",
            "pause": "Choose a pause",
        },
        "third": {
            "calling": "Being called",
            "talking": "You talk alone",
            "joined": "All three together",
            "busy": "Busy",
            "no_answer": "No answer",
            "left": "Has left",
            "failed": "Not reached",
        },
    }
)
