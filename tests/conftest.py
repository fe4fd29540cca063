"""Fixtures that every test may ask for."""

from __future__ import annotations

from support.postgres import *  # noqa: F403
from support.web import *  # noqa: F403
