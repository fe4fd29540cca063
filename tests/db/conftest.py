"""Fixtures of the tests over a database."""

from __future__ import annotations

from support.floor import *  # noqa: F403
from support.phone_way import *  # noqa: F403
from support.s3 import *  # noqa: F403
from support.things import *  # noqa: F403
