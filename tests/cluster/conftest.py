"""Fixtures of the tests of many machines."""

from __future__ import annotations

from support.asterisk import *  # noqa: F403
