#!/usr/bin/env python3
"""Write down what became of the call.

    same => n,Set(DOZVON_STATUS=UNAVAILABLE)
    same => n,AGI(agi_scripts/outcome.py,outcome=sold,note=${NOTE})

`outcome` is a word of yours (letters, digits, . _ -); the last one of a call counts. Sets DOZVON_STATUS.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # the folder that has agi_scripts/

from agi_scripts.hook import run

if __name__ == "__main__":
    run("outcome", names="outcome note")
