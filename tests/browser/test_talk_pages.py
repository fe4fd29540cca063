"""The desk in a talk with a third party, the list of its keys, and keys of one's own."""

from __future__ import annotations

from playwright.async_api import expect
from sqlalchemy import insert
from support.browser import Visitors
from support.stage import TENANT, Stage

from dialer.calls.model import Assignee, Third
from dialer.calls.model import Stage as Where
from dialer.calls.thirds import words_of
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.httpkit.access import Actor
from dialer.ids import new_id

#: A page of a busy machine may take its time, ms.
PATIENT = 30_000


async def test_the_desk_shows_whom_the_agent_has_asked(visit: Visitors, stage: Stage) -> None:
    """With the buttons for what comes then in place of those of the talk; who was asked has none of them."""
    mine, others = stage.agents[0], stage.agents[1]
    attempt_id = await stage.assign(mine)
    await stage.put(mine, "talking", attempt_id)
    talk = {"state": "connected", "connected_at": utc_now(), "result": "answered"}
    await stage.change(attempt_id, mine, **talk)
    async with stage.database.tenant(TENANT) as conn:
        listed = {"tenant_id": TENANT, "name": "Склад", "kind": "phone", "value": "shop"}
        await conn.execute(insert(t.destination).values(listed))
    person = await visit(await visit.web.users.get(Actor.server(TENANT), stage.users[0]))
    await person.open("/desk")
    page = person.page
    await expect(page.locator("#transfer option", has_text="Склад")).to_be_attached(timeout=PATIENT)
    third = Third(new_id(), "Warehouse", utc_now(), Where.TALKING)
    await stage.change(attempt_id, mine, **talk, held_at=utc_now(), third=words_of(third))
    await page.reload()
    await expect(page.locator("#third")).to_contain_text("You talk alone: Warehouse", timeout=PATIENT)
    await expect(page.get_by_role("button", name="Leave the customer to Warehouse")).to_be_visible()
    await expect(page.locator("#transfer")).to_be_hidden()
    asked = Third(new_id(), "Me", utc_now(), Where.TALKING, Assignee(stage.shifts[mine], mine, new_id()))
    await stage.change(attempt_id, others, **talk, third=words_of(asked))
    await page.reload()
    await expect(page.locator("#asked")).to_be_visible(timeout=PATIENT)
    await expect(page.get_by_role("button", name="Hold")).to_be_hidden()
    await expect(page.locator(".dispose")).to_be_hidden()


async def test_keys_of_ones_own(visit: Visitors, stage: Stage) -> None:
    """They are kept at the server; a key that is used twice is refused; the list of keys has them."""
    person = await visit(await visit.web.users.get(Actor.server(TENANT), stage.users[0]))
    page = person.page
    await person.open("/me")
    hold = page.get_by_label("Hold, and back to the talk")
    save = page.locator("form#keys").get_by_role("button", name="Save")
    await hold.fill("m")
    person.expected.add(422)
    await save.click()
    await expect(page.locator(".field.wrong")).to_contain_text("the key M has another use", timeout=PATIENT)
    await hold.fill("ч")  # on the key X
    await save.click()
    await expect(hold).to_have_value("x", timeout=PATIENT)
    await person.open("/desk")
    row = page.locator("#shortcuts dt", has_text="X")
    await page.keyboard.press("?")
    await expect(row).to_be_visible(timeout=PATIENT)
    await page.keyboard.press("Escape")
    await expect(row).to_be_hidden(timeout=PATIENT)
