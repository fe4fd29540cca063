"""What a start of the server brings along."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: Slow to import, and needed by few: not at a start, which agents wait for after a crash.
LATE = ("numpy", "pjsua2", "schemathesis", "alembic")


@pytest.mark.parametrize("module", ["dialer.app.engine", "dialer.app.web"])
def test_a_start_waits_for_no_library_that_it_does_not_need(module: str) -> None:
    """Neither the engine nor the web imports what only a message, a demo or a migration needs."""
    code = f"import {module}, sys; print([name for name in {LATE} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
