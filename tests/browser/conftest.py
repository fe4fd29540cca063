"""Fixtures of the tests with a browser."""

from __future__ import annotations

from support.browser import *  # noqa: F403
