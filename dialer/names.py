"""How names are written: what settings, tables and Asterisk's files hold to alike, as regular expressions."""

from __future__ import annotations

from typing import Final

#: Of a node, and of what stands in Asterisk's files: a letter or digit, then . _ - as well; 64 at most.
NAME: Final = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
#: Of a host, or its IPv4 address.
HOST: Final = (
    r"(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
)
