"""Fixtures that every test may ask for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog
from support.postgres import *  # noqa: F403
from support.web import *  # noqa: F403

# As the server writes tracebacks: the default, with the values of every frame, takes seconds for one.
*_earlier, _ = structlog.get_config()["processors"]
_plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
structlog.configure(processors=[*_earlier, _plain])


@pytest.fixture(autouse=True)
def _log_goes_on() -> Iterator[None]:
    """Logging that a test set up anew would hide what those after it log, when they fail."""
    before = structlog.get_config()
    yield
    assert structlog.get_config() == before, "structlog was configured anew: run it in a process of its own"
