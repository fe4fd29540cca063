"""Fixtures that every test may ask for."""

from __future__ import annotations

import structlog
from support.postgres import *  # noqa: F403
from support.web import *  # noqa: F403

# As the server writes tracebacks: the default, with the values of every frame, takes seconds for one.
*_earlier, _ = structlog.get_config()["processors"]
_plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
structlog.configure(processors=[*_earlier, _plain])
