#!/usr/bin/env python3
"""Ask where the call had best go.

    same => n,Set(DOZVON_STATUS=UNAVAILABLE)
    same => n,AGI(agi_scripts/route.py,dialled=74957770101)

Sets DOZVON_ROUTE: `agent` (the one of the last talk with this number is free: DOZVON_AGENT is the endpoint),
`known` or `new`; DOZVON_AGENT_NAME, DOZVON_AGENT_STATE and DOZVON_CAMPAIGN of that talk; DOZVON_STATUS. With
`dialled=` (a number of the server's) or `queue=` also DOZVON_CALLED_STATE, DOZVON_AT_WORK and others.

    same => n,GotoIf($["${DOZVON_ROUTE}" = "agent"]?agent:queue)
    same => n(agent),Dial(PJSIP/${DOZVON_AGENT},20)
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # the folder that has agi_scripts/

from agi_scripts.hook import run

if __name__ == "__main__":
    run("route", names="dialled queue")
