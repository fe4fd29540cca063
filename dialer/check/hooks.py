"""The hooks, from the dialplan's side: a call of Asterisk to itself goes through each and changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from uuid import uuid4

from dialer.asterisk.ami import AmiEvent, AmiLink, LinkDown, variable
from dialer.check.model import Finding, Findings, fail, note, ok
from dialer.errors import ActionFailed, AsteriskUnavailable

CONTEXT = "dozvon-check-hooks"
#: As the dialplan tells of them; the names of the programs in agi_scripts/.
HOOKS = ("lookup", "route", "opt_out", "callback", "outcome", "consent", "survey_answer")
#: Each may take two seconds, and a process each to start.
CALL_S = 40.0
_MEND = {
    "UNAVAILABLE": "see that DOZVON_HOOKS of the dialplan's globals names the folder of agi_scripts or "
    "agi://host:port/hooks (DOZVON_HOOKS_AGI_PORT), and for the programs the file with url and token",
    "REFUSED": "make a token of the scope hooks on the page API tokens; programs read it from their file, "
    "FastAGI from the global variable DOZVON_HOOKS_TOKEN",
}


async def look(link: AmiLink, *, served: bool) -> Findings:
    """Go through each hook while the server runs; nothing where the dialplan has none."""
    try:
        await link.send_list({"Action": "ShowDialPlan", "Context": CONTEXT})
    except ActionFailed:
        return
    if not served:
        yield note("hooks", "not tried: the server does not run", "run this check beside `dozvon serve`")
        return
    told = await _call(link)
    for name in HOOKS:
        yield judge(name, told)


async def _call(link: AmiLink) -> Mapping[str, str] | str:
    """DOZVON_STATUS by hook; a text: why there is none."""
    token = uuid4().hex
    while not link.inbox.empty():
        link.inbox.get_nowait()
    try:
        await link.send(
            {
                "Action": "Originate",
                "Channel": f"Local/s@{CONTEXT}/n",
                "Application": "Wait",
                "Data": str(int(CALL_S)),
                "Async": "true",
                "Variable": [variable("DOZVON_CHECK", token)],
            }
        )
        async with asyncio.timeout(CALL_S):
            while True:
                event = await link.inbox.get()
                if isinstance(event, LinkDown):
                    raise AsteriskUnavailable(reason=event.reason)
                if isinstance(event, AmiEvent) and event.get("Check") == token:
                    return {name: event.get(name) for name in HOOKS}
    except TimeoutError:
        return f"the call did not end in {CALL_S:g} s"
    except ActionFailed as error:
        return str(error)


def judge(name: str, told: Mapping[str, str] | str) -> Finding:
    """Did the hook end well? Nobody calls here, so that nobody is found is well."""
    title = f"hook {name}"
    if isinstance(told, str):
        return fail(title, told, "read Asterisk's log: which line of the dialplan it stopped at")
    status = told[name]
    if status in {"OK", "NOT_FOUND"}:
        return ok(title, f"the dialplan has an answer ({status})")
    said = f"the dialplan has {status or 'nothing'}"
    return fail(title, said, _MEND.get(status, "compare extensions_dozvon_hooks.conf with this version's"))
