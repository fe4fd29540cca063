"""The channel that has started a program, by pyst2: what Asterisk told of it, and its variables."""

from __future__ import annotations

import io
import re
import signal
import sys
from collections.abc import Mapping
from typing import cast

from asterisk.agi import AGI, AGIException

#: pyst2 raises ValueError at the end of its input and for the line HANGUP.
ENDED = (AGIException, ValueError, IndexError, KeyError, OSError)
_VARIABLE = re.compile(r"DOZVON_[A-Z0-9_]{1,60}")
#: No quote, comma, bracket or dollar reaches the dialplan, whoever has answered.
_NOT_PLAIN = re.compile(r"[^\w .:@+/-]+")


class Channel:
    """Asterisk's channel. It may end at any moment: nothing is set then, and what is read is empty."""

    def __init__(self) -> None:
        cast(io.TextIOWrapper, sys.stdin).reconfigure(encoding="utf-8", errors="replace")
        cast(io.TextIOWrapper, sys.stdout).reconfigure(encoding="utf-8", errors="replace")
        # pyst2 writes numbers and tokens to stderr, which is Asterisk's console.
        self._agi = AGI(stderr=io.StringIO())
        # A caller who presses the key and hangs up has asked all the same.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self._ended = False

    @property
    def id(self) -> str:
        """Asterisk's own name of the call; empty: none."""
        return str(self._agi.env.get("agi_uniqueid", ""))

    @property
    def caller(self) -> str:
        """The caller id, 100 characters at most; empty: withheld."""
        said = str(self._agi.env.get("agi_callerid", ""))
        return "" if said == "unknown" else said[:100]

    def get(self, name: str) -> str:
        """A variable, 200 characters at most; empty: not set."""
        if not self._ended:
            try:
                return str(self._agi.get_variable(name))[:200]
            except ENDED:
                self._ended = True
        return ""

    def set(self, values: Mapping[str, str]) -> None:
        """Set variables whose names are ours."""
        for name, value in values.items():
            if self._ended or not _VARIABLE.fullmatch(name):
                continue
            try:
                self._agi.set_variable(name, _NOT_PLAIN.sub(" ", value)[:200])
            except ENDED:
                self._ended = True
