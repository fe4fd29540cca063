"""Free ports of this machine."""

from __future__ import annotations

import subprocess
import sys

MANY = 300
TELL = f"""
from dialer.ports import free_port
print(*(free_port() for _ in range({MANY})), flush=True)
input()
"""


def test_no_port_is_told_twice() -> None:
    """Two processes that bind nothing yet are told numbers that all differ, as long as both live."""
    # By luck alone some of 600 out of 6,801 would be the same all but once in 10^11 runs.
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", TELL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    told: list[str] = []
    for process in processes:
        assert process.stdout is not None
        told += process.stdout.readline().split()
    for process in processes:
        process.communicate("\n")
    assert len(set(told)) == len(told) == 2 * MANY
