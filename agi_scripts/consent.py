#!/usr/bin/env python3
"""Write down that the person agrees to be called.

    same => n,Set(DOZVON_STATUS=UNAVAILABLE)
    same => n,AGI(agi_scripts/consent.py,purpose=advertising,days=365)

`purpose`: service, advertising, collection, survey, any. `contact` says who, where several people have the
number: DOZVON_CONTACT of a lookup. NOT_FOUND where nobody has it. Sets DOZVON_STATUS and DOZVON_CONTACT.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # the folder that has agi_scripts/

from agi_scripts.hook import run

if __name__ == "__main__":
    run("consent", names="purpose contact days proof", numbers="contact days")
