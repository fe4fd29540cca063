"""By keyboard alone: everything on a page is reached, in view, and marked while one is there."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select
from support.browser import Visitor, Visitors
from support.flow_pages import a_flow
from support.promises import ROUND_THE_CLOCK
from support.stage import TENANT, Stage

from dialer.callbacks.making import Asked
from dialer.callbacks.service import CallbackService
from dialer.clock import utc_now
from dialer.contacts.service import ContactService
from dialer.contacts.spool import pieces
from dialer.db import tables as t
from dialer.httpkit.access import Actor, Role
from dialer.inbound.http import INBOUND

#: A folder where pictures of the pages are put, to be looked at; unset: none are made.
SHOTS = os.environ.get("TEST_SHOTS", "")
SERVER = Actor.server(TENANT)
PATHS = (
    "/callbacks", "/callbacks?view=day", "/callbacks/{callback}", "/contacts/{contact}/callback",
    "/why-not?number=89160000000", "/campaigns/{campaign}/why-not", "/contacts/{contact}/why-not",
    "/contacts", "/contacts/{contact}", "/lists/{list}", "/imports/{preview}", "/lists/mappings",
    "/do-not-call", "/segments", "/segments/new", "/fields", "/grids", "/policies", "/policies/ru-38fz",
    "/policies/new?from=ru-38fz", "/lists/quality", "/lists/duplicates", "/lists/dead-numbers",
    "/numbers/new", "/incoming", "/flows/new", "/flows/1", "/flows/1/edit", "/flows/1/versions/1",
)  # fmt: skip
#: Where one is: whether that is seen. What was reached is remembered.
HERE = """
() => {
  const here = document.activeElement;
  window.reached ??= new Set();
  if (here === document.body || here === document.documentElement) return "end";
  const again = window.reached.has(here);
  window.reached.add(here);
  const style = getComputedStyle(here), box = here.getBoundingClientRect();
  const marked = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
  const inView = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
  const shut = here.matches("summary") && !here.parentElement.open;
  const name = here.outerHTML.slice(0, 160);
  return {again, shut, fault: !marked ? `not marked: ${name}` : !inView ? `out of view: ${name}` : ""};
}
"""
#: What can be used and was not reached. Of radio buttons with one name the keyboard reaches one.
MISSED = """
() => [...document.querySelectorAll(
    "a[href], button, input, select, textarea, summary, audio[controls], [tabindex='0']"
  )].filter(each => {
    if (window.reached.has(each) || each.disabled || each.type === "hidden") return false;
    if (each.type === "radio") {
      const group = [...window.reached].filter(one => one.type === "radio" && one.name === each.name);
      if (group.length) return false;
    }
    return each.checkVisibility({visibilityProperty: true});
  }).map(each => each.outerHTML.slice(0, 160))
"""


async def walk(person: Visitor) -> list[str]:
    """Go over the page by Tab from its top, opening whatever is folded; what is wrong with it."""
    faults: list[str] = []
    for _ in range(600):
        await person.page.keyboard.press("Tab")
        here: Any = await person.page.evaluate(HERE)
        if here == "end":
            break
        if here["fault"] and not here["again"]:
            faults.append(here["fault"])
        if here["shut"] and not here["again"]:
            await person.page.keyboard.press("Enter")
    else:
        faults.append("there is no end to it")
    return faults + [f"not reached: {each}" for each in await person.page.evaluate(MISSED)]


@pytest.fixture
async def places(stage: Stage, tmp_path: Path) -> dict[str, int]:
    """The ids in the paths: of a person with all that a card may have, a promise, a file to be looked at."""
    service, callbacks = ContactService(stage.database, stage.web.settings), CallbackService(stage.database)
    file = tmp_path / "осень.csv"
    file.write_text("Куда звонить;ФИО;Авто\n8 (916) 555-01-01;Карпова Вера;Volvo\nнет;Без Номера;Lada\n")
    boss = Actor(TENANT, None, Role.SUPERVISOR, "boss", "en")
    job = await service.add_import(boss, stage.list_id, file.name, pieces(file), preview=True)
    async with stage.database.tenant(TENANT) as conn:
        await conn.execute(t.campaign.update().values(ROUND_THE_CLOCK))
        query = select(t.lead.c.contact_id).where(t.lead.c.status.in_(("new", "waiting")))
        contact = await conn.scalar(query.order_by(t.lead.c.id).limit(1))
        assert contact is not None
        consent = {"contact_id": contact, "purpose": "service", "source": "form", "valid_from": utc_now()}
        await conn.execute(insert(t.consent).values(tenant_id=TENANT, **consent))
        mark = await conn.scalar(
            select(t.contact_phone.c.e164).where(t.contact_phone.c.contact_id == contact)
        )
        entry = {"kind": "number", "mark": mark, "source": "operator"}
        await conn.execute(insert(t.do_not_call).values(tenant_id=TENANT, campaign_id=None, **entry))
        await conn.execute(t.do_not_call.update().values(valid_until=utc_now() + timedelta(days=5000)))
        other = await conn.scalar(query.order_by(t.lead.c.id.desc()).limit(1))
    assert other is not None
    await a_flow(stage.web.app[INBOUND])
    made = await callbacks.make(SERVER, stage.campaign_id, other, Asked(utc_now() + timedelta(days=30)))
    return {
        "contact": contact,
        "campaign": stage.campaign_id,
        "list": stage.list_id,
        "callback": made.id,
        "preview": job.id,
    }


@pytest.mark.parametrize("path", PATHS)
async def test_a_page_is_gone_over_by_keyboard(visit: Visitors, places: dict[str, int], path: str) -> None:
    """Every link, button, field and folded part is reached by Tab, is in view and is marked."""
    person = await visit(Role.SUPERVISOR, locale="ru")
    await person.open(path.format(**places))
    assert await walk(person) == []
    if SHOTS:
        name = "".join(letter if letter.isalnum() else "-" for letter in path)
        await person.page.screenshot(path=Path(SHOTS, f"{name}.png"), full_page=True)
