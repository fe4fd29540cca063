"""Fixtures of the benches that need a whole centre."""

from __future__ import annotations

from support.asterisk import *  # noqa: F403
from support.browser import *  # noqa: F403
from support.browser_phone import *  # noqa: F403
from support.centre import *  # noqa: F403
