#!/usr/bin/env python3
"""Promise the caller a call by a campaign.

    same => n,Set(DOZVON_STATUS=UNAVAILABLE)
    same => n,AGI(agi_scripts/callback.py,campaign=3,after_min=60)

At the next open time from then on. Who is not known becomes a contact on a list of the campaign. Sets
DOZVON_STATUS, DOZVON_CALLBACK and DOZVON_CALLBACK_AT (seconds since 1970). `number=` as in opt_out.py.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # the folder that has agi_scripts/

from agi_scripts.hook import run

if __name__ == "__main__":
    run("callback", names="campaign after_min note", numbers="campaign after_min")
