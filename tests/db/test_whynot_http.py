"""Why not, as programs and browsers are told it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import update
from support.floor import TENANT, Floor
from support.web import Web, whole_site
from support.whynot import change, open_floor, retry, unwanted

from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.httpkit.access import Role


@pytest.fixture
async def site(database: Database, database_url: str) -> AsyncIterator[Web]:
    """The web process as the server builds it, without the engine."""
    async with whole_site(database, database_url) as running:
        yield running


@pytest.fixture
async def floor(database: Database) -> Floor:
    """A campaign that runs and has three leads: one is not to be called, one waits."""
    found = await open_floor(database)
    leads = await found.leads(3)
    await unwanted(found, await found.row(t.lead, leads[0]), utc_now())
    await retry(found, await found.row(t.lead, leads[1]), utc_now())
    return found


async def test_a_program_asks(site: Web, floor: Floor) -> None:
    """For a number, a contact, a lead, a campaign: stable names, times, and a sentence in its language."""
    boss = await site.program(Role.SUPERVISOR)
    found = (await boss.call("GET", "~/why-not?number=89160000000")).json
    assert (found["e164"], found["dialled"], found["do_not_call"]) == ("+79160000000", False, True)
    (one,) = found["campaigns"]
    assert (one["stopped_by"], one["not_before"]) == ("do_not_call", None)
    assert one["text"] == "The number is not to be called: entered by a program."
    steps = [each["step"] for each in one["answers"]]
    assert steps[:4] == ["campaign", "policy", "lead", "call"]
    assert steps[-1] == "agents"
    waits = (await boss.call("GET", "~/why-not?number=%2B79160000001")).json["campaigns"][0]
    assert (waits["stopped_by"], waits["not_before"] is not None) == ("wait", True)
    path = f"~/campaigns/{floor.campaign_id}"
    lead = (await boss.call("GET", f"{path}/leads/{waits['lead_id']}/why-not")).json
    assert lead["text"] == waits["text"]
    person = (await boss.call("GET", f"~/contacts/{waits['contact_id']}/why-not")).json
    assert [each["lead_id"] for each in person["campaigns"]] == [waits["lead_id"]]
    funnel = (await boss.call("GET", f"{path}/why-not")).json
    counts = {each["step"]: each["leads"] for each in funnel["counts"]}
    assert (funnel["leads"], funnel["ready"], counts) == (3, 1, {"do_not_call": 1, "wait": 1})
    assert funnel["text"] == "3 leads: 1 do-not-call, 1 waiting for retry, 1 ready"
    russian = {"Accept-Language": "ru"}
    stranger = await site.user(Role.SUPERVISOR)
    assert stranger.locale == "en"
    assert (await boss.call("GET", "~/why-not?number=12", headers=russian)).status == 422
    for missing in ("~/contacts/99/why-not", "~/campaigns/99/why-not", f"{path}/leads/99/why-not"):
        assert (await boss.call("GET", missing)).status == 404
    agent = await site.program(Role.OPERATOR)
    for refused in ("~/why-not?number=89160000000", f"{path}/why-not"):
        assert (await agent.call("GET", refused)).status == 403


async def test_a_number_without_a_lead(site: Web, floor: Floor) -> None:
    """Which entry of the list forbids it, why, since when and until when; on the page and to programs."""
    boss = await site.program(Role.SUPERVISOR)
    body = {"prefixes": ["8 495"], "reason": "a whole town", "valid_until": "2030-01-01T09:00:00Z"}
    (entry,) = (await boss.call("POST", "~/do-not-call", body)).json["ids"]
    removed = (await boss.call("POST", "~/do-not-call", {"numbers": ["84951234567"]})).json["ids"]
    await boss.call("POST", f"~/do-not-call/{removed[0]}/remove", {"reason": "a slip"})
    found = (await boss.call("GET", "~/why-not?number=84951234567")).json
    assert (found["do_not_call"], found["erased"], found["campaigns"]) == (True, False, [])
    assert [(one["id"], one["number"]) for one in found["forbidden_by"]] == [(entry, "+7495")]
    (said,) = found["forbidden_texts"]
    for part in (f"Entry {entry} of", "begin with +7495", "by a program", "a whole town", "until 1 Jan 2030"):
        assert part in said, part
    assert (await boss.call("GET", "~/why-not?number=89031112233")).json["forbidden_texts"] == []
    person = await site.browser(Role.SUPERVISOR)
    page = (await person.call("GET", "/why-not?number=84951234567")).text
    assert f"Entry {entry} of the do-not-call list forbids it" in page


async def test_a_contact_that_became_part_of_another(site: Web, floor: Floor) -> None:
    """Its card and its answers say of whom, also where that one was merged too; after the undo it is back."""
    boss = await site.program(Role.SUPERVISOR)
    ids = [(await floor.row(t.lead, lead)).contact_id for lead in await floor.leads(3, first=79170000000)]
    merges = []
    for kept, gone in ((ids[1], ids[0]), (ids[2], ids[1])):
        made = await boss.call("POST", "~/merges", {"survivor_id": kept, "merged_id": gone})
        assert made.status == 201, made.text
        merges.append(made.json["id"])
    for path in (f"~/contacts/{ids[0]}", f"~/contacts/{ids[0]}/why-not"):
        told = await boss.call("GET", path)
        assert (told.status, told.json["type"]) == (404, "/problems/contact-merged")
        assert told.json["merged_into"] == ids[2]
    person = await site.browser(Role.SUPERVISOR)
    for path in (f"/contacts/{ids[0]}", f"/contacts/{ids[0]}/why-not"):
        shown = await person.call("GET", path, headers={"Accept": "text/html"})
        assert (shown.status, f'href="/contacts/{ids[2]}"' in shown.text) == (404, True), shown.text
    again = await boss.call("POST", "~/merges", {"survivor_id": ids[2], "merged_id": ids[0]})
    assert (again.status, again.json["type"], again.json["merged_into"]) == (
        404,
        "/problems/contact-merged",
        ids[2],
    )
    assert (await boss.call("POST", f"~/merges/{merges[1]}/undo")).status == 200
    assert (await boss.call("GET", f"~/contacts/{ids[0]}")).json["merged_into"] == ids[1]
    assert (await boss.call("GET", "~/contacts/999")).json["type"] == "/problems/not-found"


async def test_a_start_warns(site: Web, floor: Floor) -> None:
    """The reply to a start has the reasons; that to a look has none."""
    boss = await site.program(Role.SUPERVISOR)
    async with floor.database.tenant(TENANT) as conn:
        values = {"status": "paused", "caller_name": "Заря", "abandon_message": "Звонила Заря"}
        await conn.execute(update(t.campaign).values(**values, abandon_sound="made"))
        await conn.execute(update(t.trunk).values(sip_host="127.0.0.1"))
    path = f"~/campaigns/{floor.campaign_id}"
    begun = await boss.call("POST", f"{path}/resume")
    assert begun.status == 200, begun.text
    codes = [one["code"] for one in begun.json["warnings"]]
    assert codes == ["server-engine-down", "agents-none"]
    assert (await boss.call("GET", path)).json["warnings"] == []


@pytest.mark.parametrize(
    ("lang", "said"), [("en", "The number is not to be called"), ("ru", "На номер звонить нельзя")]
)
async def test_the_pages(site: Web, floor: Floor, lang: str, said: str) -> None:
    """Each says what stops it, in the reader's language; a number that is none is refused where it stands."""
    person = await site.browser(Role.SUPERVISOR)
    await person.call("POST", "/language", data={"lang": lang, "next": "/"})
    here = f"/campaigns/{floor.campaign_id}"
    text = (await person.call("GET", "/why-not?number=8 916 000-00-00")).text
    assert said in text
    assert "Весна" in text
    assert f'href="{here}/why-not"' in (await person.call("GET", here)).text
    for path in ("/why-not", f"{here}/why-not", f"{here}/why-not/board"):
        assert (await person.call("GET", path)).status == 200, path
    assert (await person.call("GET", "/why-not?number=12")).status == 422
    unknown = await person.call("GET", f"/why-not?number=89031112233&campaign={floor.campaign_id}")
    assert unknown.status == 200


async def test_a_lead_is_asked_from_the_card(site: Web, floor: Floor) -> None:
    """The card leads to the contact's answers, and each lead to its own."""
    person = await site.browser(Role.SUPERVISOR)
    leads = await floor.leads(1, first=79170000000)
    row = await floor.row(t.lead, leads[0])
    card = (await person.call("GET", f"/contacts/{row.contact_id}")).text
    own = f"/campaigns/{floor.campaign_id}/leads/{row.id}/why-not"
    for path in (f"/contacts/{row.contact_id}/why-not", own):
        assert f'href="{path}"' in card
        assert "Весна" in (await person.call("GET", path)).text


async def test_what_starts_on_the_list_of_campaigns_says_so_there(site: Web, floor: Floor) -> None:
    """A notice with the reasons, in place of silence; on the campaign's own page the counts say it."""
    person = await site.browser(Role.SUPERVISOR)
    for lead_id in await floor.leads(1, first=79170000000):
        await change(floor, lead_id, open_from=utc_now() + timedelta(hours=1))
    async with floor.database.tenant(TENANT) as conn:
        values = {"caller_name": "Заря", "abandon_message": "Звонила Заря", "abandon_sound": "made"}
        await conn.execute(update(t.campaign).values(**values))
        await conn.execute(update(t.trunk).values(sip_host="127.0.0.1"))

    async def start(current: str) -> tuple[int, str]:
        async with floor.database.tenant(TENANT) as conn:
            await conn.execute(update(t.campaign).values(status="paused"))
        headers = {"HX-Request": "true", "HX-Current-URL": f"{site.url}{current}"}
        reply = await person.call("POST", f"/campaigns/{floor.campaign_id}/resume", headers=headers)
        return reply.status, reply.text

    status, text = await start("/campaigns")
    assert (status, "No agent is logged in" in text) == (200, True)
    assert await start(f"/campaigns/{floor.campaign_id}") == (204, "")


async def test_a_lists_funnel_has_what_stops_its_leads(site: Web, floor: Floor) -> None:
    """By campaign, under the same words."""
    person = await site.browser(Role.SUPERVISOR)
    part = (await person.call("GET", f"/lists/{floor.list_id}/funnel")).text
    for words in ("waiting for retry", "do-not-call", "in the queue"):
        assert words in part
