#!/usr/bin/env python3
"""Look up who has the number, and set variables of it.

    same => n,Set(DOZVON_STATUS=UNAVAILABLE)
    same => n,AGI(agi_scripts/lookup.py,fields=car|city)

Sets DOZVON_STATUS (OK, NOT_FOUND, REFUSED, UNAVAILABLE), DOZVON_CONTACT, DOZVON_FIRST_NAME, DOZVON_LAST_NAME,
DOZVON_MIDDLE_NAME, DOZVON_EXTERNAL_ID, DOZVON_PEOPLE (how many have the number), DOZVON_DO_NOT_CALL (1 or 0),
DOZVON_NUMBER, and DOZVON_FIELD_CAR for each of `fields`. `number=${DIGITS}` looks up another number than the
caller id. A caller id proves nothing: do not tell the caller by it what only the customer may know.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # the folder that has agi_scripts/

from agi_scripts.hook import run

if __name__ == "__main__":
    run("lookup", names="fields")
