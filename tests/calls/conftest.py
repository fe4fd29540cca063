"""Fixtures of the tests that need a real Asterisk."""

from __future__ import annotations

from support.asterisk import *  # noqa: F403
from support.centre import *  # noqa: F403
