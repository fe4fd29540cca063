"""A script of a talk for tests, and how it is published."""

from __future__ import annotations

from dialer.app.script_deeds import ScriptDeeds
from dialer.db.session import Database
from dialer.httpkit.access import Actor
from dialer.scripts.service import ScriptService

INVITATION = """\
name: visit
title: Invitation to a visit
language: en
first: hello
steps:
  - {name: hello, type: text, text: "Hello, this is {agent.name}.", next: convenient}
  - name: convenient
    type: question
    text: "Is it convenient to talk?"
    kind: yes_no
    required: true
    next: {"yes": age, "no": bye}
  - {name: age, type: question, text: "How old is your car?", kind: number, required: true, next: wish}
  - {name: wish, type: question, text: "What would you change?", kind: text, next: bye}
  - {name: bye, type: end, text: "Thank you, goodbye!"}
  - {name: dear, type: text, text: "It costs no more than your car does now.", next: return}
  - {name: never, type: action, text: "You will not be called again.", action: do_not_call, next: bye}
exits:
  - {name: dear, title: Too dear, kind: objection, to: dear}
  - {name: never, title: Never call, kind: critical, to: never}
"""


async def published(database: Database, actor: Actor, text: str = INVITATION) -> ScriptService:
    """The service, with this script live."""
    scripts = ScriptService(database, ScriptDeeds())
    made = await scripts.write(actor, text)
    await scripts.publish(actor, made.script, made.version)
    return scripts
