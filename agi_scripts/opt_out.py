#!/usr/bin/env python3
"""Have nobody call the number again.

    same => n,Set(DOZVON_STATUS=UNAVAILABLE)
    same => n,AGI(agi_scripts/opt_out.py)

Of the call's own number. Another one, keyed in: `,number=${DIGITS}`, after an earlier hook of the same call
(its answer has set DOZVON_CALL_TOKEN, which this needs and renews). Sets DOZVON_STATUS and DOZVON_NUMBER.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # the folder that has agi_scripts/

from agi_scripts.hook import run

if __name__ == "__main__":
    run("opt-out", names="reason")
