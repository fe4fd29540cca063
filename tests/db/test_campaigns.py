"""Campaigns as supervisors make, start, pause and change them."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import insert, select, update

from dialer.calls import store as calls
from dialer.campaigns.fields import (
    CampaignEdit,
    CampaignIn,
    DispositionIn,
    DispositionsIn,
    PauseCodeIn,
    PauseCodesIn,
)
from dialer.campaigns.http import CampaignOut
from dialer.campaigns.model import DEFAULT_DISPOSITIONS, DEFAULT_PAUSE_CODES, Status
from dialer.campaigns.service import CampaignService
from dialer.campaigns.sounds import PromptSounds
from dialer.compliance.model import POLICIES
from dialer.db import tables as t
from dialer.db.session import Database, connect
from dialer.errors import CampaignNotReady, Conflict, Forbidden, Invalid, NotFound, PartMissing, WrongState
from dialer.httpkit.access import Actor, Role
from dialer.httpkit.problems import problem
from dialer.policies.http import PolicyOut
from dialer.trunks.fields import TrunkIn
from dialer.trunks.service import TrunkService

ADMIN = Actor(1, None, Role.ADMINISTRATOR, "Admin", "ru")
SUPERVISOR = Actor(1, None, Role.SUPERVISOR, "Supervisor", "ru")
AGENT = Actor(1, None, Role.OPERATOR, "Agent", "ru")


class Sounds:
    """Makes no sound, but says what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.fails = False

    async def message(self, tenant_id: int, campaign_id: int, words: str) -> str:
        self.asked.append(words)
        if self.fails:
            raise PartMissing(part="a voice", mend="install espeak-ng")
        return f"messages/{tenant_id}-{campaign_id}-{len(self.asked)}"


@pytest.fixture
def sounds() -> Sounds:
    return Sounds()


@pytest.fixture
def campaigns(database: Database, sounds: Sounds) -> CampaignService:
    return CampaignService(database, sounds)


@pytest.fixture
async def trunk_id(database: Database) -> int:
    """A trunk that may call Russia."""
    trunk = TrunkIn.model_validate(
        {"name": "T", "caller_id": "+74950000001", "allowed_prefixes": ["+7"], "endpoint": "carrier"}
    )
    return int((await TrunkService(database).create(ADMIN, trunk))["id"])


def ready(trunk_id: int, **changes: Any) -> CampaignIn:
    """A campaign to which nothing is missing."""
    fields: dict[str, Any] = {
        "name": "Весна",
        "policy": "ru-service",
        "caller_name": "Автосалон «Заря»",
        "abandon_message": "Вам звонил автосалон «Заря».",
        "trunks": [trunk_id],
    }
    return CampaignIn(**fields | changes)


# -- making and changing -----------------------------------------------------------------------------------


async def test_a_new_campaign_is_a_draft_with_dispositions(campaigns: CampaignService, trunk_id: int) -> None:
    """It can be looked at as it was asked for, and agents have something to choose from."""
    retries = {"dispositions": {"no-contact": {"after_s": -1, "next_phone_s": 30}}}
    wanted = ready(trunk_id, retries=retries, amd={"max_words": 4}, skill="ru")
    view = await campaigns.create(SUPERVISOR, wanted)
    out = CampaignOut.of(view, "ru")
    assert out.model_dump(include=set(CampaignIn.model_fields)) == wanted.model_dump()
    assert (out.status, out.started_at, out.ready_reasons) == ("draft", None, [])
    kept = await campaigns.dispositions(AGENT, out.id)
    assert [(one.code, one.kind) for one in kept] == [(one.code, one.kind) for one in DEFAULT_DISPOSITIONS]


async def test_names_and_trunks_are_checked(campaigns: CampaignService, trunk_id: int) -> None:
    """A name is taken once; a trunk must be the tenant's."""
    made = await campaigns.create(SUPERVISOR, ready(trunk_id))
    with pytest.raises(Conflict, match="Весна"):
        await campaigns.create(SUPERVISOR, ready(trunk_id))
    with pytest.raises(Invalid, match="trunks"):
        await campaigns.create(SUPERVISOR, ready(trunk_id, name="Other", trunks=[trunk_id, 999]))
    other = await campaigns.create(SUPERVISOR, ready(trunk_id, name="Other"))
    with pytest.raises(Conflict, match="Весна"):
        await campaigns.edit(SUPERVISOR, other.campaign.id, CampaignEdit(name="Весна"))
    with pytest.raises(Invalid, match="trunks"):
        await campaigns.edit(SUPERVISOR, made.campaign.id, CampaignEdit(trunks=[999]))


async def test_a_change_keeps_what_it_does_not_name(campaigns: CampaignService, trunk_id: int) -> None:
    """And what it names is held to the bounds of a new campaign."""
    made = await campaigns.create(SUPERVISOR, ready(trunk_id, skill="ru"))
    changed = await campaigns.edit(SUPERVISOR, made.campaign.id, CampaignEdit(skill=None, ratio=2.0))
    expected = CampaignOut.of(made, "ru").model_copy(update={"skill": None, "ratio": 2.0})
    assert CampaignOut.of(changed, "ru") == expected
    with pytest.raises(Invalid, match="ratio"):
        await campaigns.edit(SUPERVISOR, made.campaign.id, CampaignEdit(ratio=99.0))
    with pytest.raises(Invalid, match="name"):
        await campaigns.edit(SUPERVISOR, made.campaign.id, CampaignEdit(name=None))
    without = await campaigns.edit(SUPERVISOR, made.campaign.id, CampaignEdit(trunks=[]))
    assert [reason.code for reason in without.ready_reasons] == ["no-trunk"]


class Speaker:
    """A voice that writes the words."""

    async def speak(self, words: str, _locale: str, path: Path) -> None:
        await asyncio.to_thread(path.write_text, words)


async def test_a_message_is_named_below_the_prompts(tmp_path: Path) -> None:
    """The folder may be another one at another server, or after a restore: a row does not name it."""
    voice: Any = Speaker()
    name = await PromptSounds(voice, tmp_path, "ru").message(1, 7, "Вам звонили.")
    assert (tmp_path / f"{name}.wav").read_text() == "Вам звонили."
    assert name.startswith("messages/1-7-")


async def test_new_words_need_a_new_sound(campaigns: CampaignService, sounds: Sounds, trunk_id: int) -> None:
    """The message is spoken once at the start, and again only after its words were changed."""
    made = await campaigns.create(SUPERVISOR, ready(trunk_id))
    campaign_id = made.campaign.id
    running = await campaigns.start(SUPERVISOR, campaign_id)
    first = running.campaign.abandon_sound
    await campaigns.pause(SUPERVISOR, campaign_id)
    assert (await campaigns.resume(SUPERVISOR, campaign_id)).campaign.abandon_sound == first
    await campaigns.pause(SUPERVISOR, campaign_id)
    words = "Это автосалон «Заря», извините."
    changed = await campaigns.edit(SUPERVISOR, campaign_id, CampaignEdit(abandon_message=words))
    assert changed.campaign.abandon_sound is None
    assert (await campaigns.resume(SUPERVISOR, campaign_id)).campaign.abandon_sound not in (None, first)
    assert sounds.asked == ["Вам звонил автосалон «Заря».", words]


async def test_a_campaign_does_not_start_without_the_sound_of_its_message(
    campaigns: CampaignService, sounds: Sounds, trunk_id: int
) -> None:
    """Where no voice can be had the refusal says so, in the reader's words."""
    sounds.fails = True
    made = await campaigns.create(SUPERVISOR, ready(trunk_id))
    with pytest.raises(CampaignNotReady) as refused:
        await campaigns.start(SUPERVISOR, made.campaign.id)
    assert "espeak-ng" in problem(refused.value, "en")["detail"]
    assert (await campaigns.campaign(SUPERVISOR, made.campaign.id)).campaign.status is Status.DRAFT


async def test_a_draft_can_be_removed_and_nothing_else(campaigns: CampaignService, trunk_id: int) -> None:
    """What has run stays for its figures."""
    draft = await campaigns.create(SUPERVISOR, ready(trunk_id))
    await campaigns.delete(SUPERVISOR, draft.campaign.id)
    with pytest.raises(NotFound):
        await campaigns.campaign(SUPERVISOR, draft.campaign.id)
    run = await campaigns.create(SUPERVISOR, ready(trunk_id))
    await campaigns.start(SUPERVISOR, run.campaign.id)
    with pytest.raises(WrongState):
        await campaigns.delete(SUPERVISOR, run.campaign.id)


# -- running -----------------------------------------------------------------------------------------------


async def test_a_refusal_to_start_names_every_reason(campaigns: CampaignService) -> None:
    """All at once, as one sentence for people and by code for programs."""
    made = await campaigns.create(
        SUPERVISOR,
        CampaignIn(name="Bare", mode="predictive", detect_machines=True, ring_timeout_s=10, abandon_target=1),
    )
    await campaigns.set_dispositions(SUPERVISOR, made.campaign.id, DispositionsIn(items=[]))
    with pytest.raises(CampaignNotReady) as refused:
        await campaigns.start(SUPERVISOR, made.campaign.id)
    shown = problem(refused.value, "en")
    codes = [
        "no-trunk",
        "no-disposition",
        "no-caller-name",
        "no-abandon-message",
        "target-over-cap",
        "screening-clock",
        "ring-too-short",
    ]
    assert [reason["code"] for reason in shown["reasons"]] == codes
    assert all(reason["reason"] in shown["detail"] for reason in shown["reasons"])
    view = await campaigns.campaign(SUPERVISOR, made.campaign.id)
    assert view.campaign.status is Status.DRAFT
    assert [reason.code for reason in view.ready_reasons] == codes


async def test_a_campaign_lives_its_life(
    campaigns: CampaignService, database: Database, database_url: str, trunk_id: int
) -> None:
    """Each step is in the row, in the log of changes, in the events, and wakes the engine."""
    heard: asyncio.Queue[str] = asyncio.Queue()
    listener = await connect(database_url)
    made = await campaigns.create(SUPERVISOR, ready(trunk_id))
    campaign_id = made.campaign.id
    try:
        await listener.add_listener("dozvon_engine", lambda *note: heard.put_nowait(str(note[3])))
        started = await campaigns.start(SUPERVISOR, campaign_id)
        assert (await campaigns.pause(SUPERVISOR, campaign_id)).campaign.status is Status.PAUSED
        resumed = await campaigns.resume(SUPERVISOR, campaign_id)
        stopped = await campaigns.stop(SUPERVISOR, campaign_id)
        for _ in range(4):
            note = json.loads(await asyncio.wait_for(heard.get(), 30))
            assert note == {"tenant": 1, "what": "campaigns"}
    finally:
        await listener.close()
    assert started.campaign.started_at is not None
    # The first start is what its figures begin at.
    assert resumed.campaign.started_at == started.campaign.started_at
    assert (resumed.campaign.ended_at, stopped.campaign.status) == (None, Status.STOPPED)
    assert stopped.campaign.ended_at is not None
    with pytest.raises(WrongState):
        await campaigns.start(SUPERVISOR, campaign_id)
    async with database.tenant(1) as conn:
        actions = await conn.scalars(
            select(t.audit.c.action)
            .where(t.audit.c.subject == f"campaign:{campaign_id}")
            .order_by(t.audit.c.id)
        )
        assert actions.all() == [f"campaign.{act}" for act in ("create", "start", "pause", "resume", "stop")]
        told = await conn.execute(
            select(t.event.c.kind, t.event.c.payload)
            .where(t.event.c.campaign_id == campaign_id)
            .order_by(t.event.c.id)
        )
        assert [(row.kind, row.payload["status"]) for row in told] == [
            ("campaign.status", status) for status in ("draft", "running", "paused", "running", "stopped")
        ]


async def test_a_refused_step_leaves_no_trace(
    campaigns: CampaignService, database: Database, trunk_id: int
) -> None:
    """No event, no line in the log of changes."""
    made = await campaigns.create(SUPERVISOR, ready(trunk_id))
    for step in (campaigns.pause, campaigns.resume, campaigns.stop):
        with pytest.raises(WrongState):
            await step(SUPERVISOR, made.campaign.id)
    async with database.tenant(1) as conn:
        assert (
            await conn.scalars(select(t.audit.c.action).where(t.audit.c.subject.like("campaign:%")))
        ).all() == ["campaign.create"]


async def test_no_call_is_claimed_after_a_pause_has_returned(
    campaigns: CampaignService, database: Database, trunk_id: int
) -> None:
    """A claim that is under way is waited for; the next one sees the pause."""
    made = await campaigns.create(SUPERVISOR, ready(trunk_id))
    campaign_id = made.campaign.id
    await campaigns.start(SUPERVISOR, campaign_id)
    async with database.tenant(1) as conn:
        assert await calls.campaign_is_running(conn, 1, campaign_id)
        pausing = asyncio.create_task(campaigns.pause(SUPERVISOR, campaign_id))
        done, _ = await asyncio.wait({pausing}, timeout=0.3)
        assert not done
    await asyncio.wait_for(pausing, 30)
    async with database.tenant(1) as conn:
        assert not await calls.campaign_is_running(conn, 1, campaign_id)


async def test_two_supervisors_who_start_at_once_start_it_once(
    campaigns: CampaignService, database: Database, trunk_id: int
) -> None:
    """One is told that it runs already."""
    made = await campaigns.create(SUPERVISOR, ready(trunk_id))
    results = await asyncio.gather(
        *(campaigns.start(SUPERVISOR, made.campaign.id) for _ in range(4)), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["CampaignView"] + 3 * ["WrongState"]


async def test_a_running_campaign_changes_its_pace_alone(campaigns: CampaignService, trunk_id: int) -> None:
    """Its paused self changes in all but the policy."""
    made = await campaigns.create(SUPERVISOR, ready(trunk_id))
    campaign_id = made.campaign.id
    await campaigns.start(SUPERVISOR, campaign_id)
    assert (await campaigns.edit(SUPERVISOR, campaign_id, CampaignEdit(ratio=2.0))).campaign.ratio == 2.0
    with pytest.raises(WrongState):
        await campaigns.edit(SUPERVISOR, campaign_id, CampaignEdit(name="another"))
    await campaigns.pause(SUPERVISOR, campaign_id)
    await campaigns.edit(SUPERVISOR, campaign_id, CampaignEdit(name="another"))
    with pytest.raises(WrongState):
        await campaigns.edit(SUPERVISOR, campaign_id, CampaignEdit(policy="us-tsr"))


async def test_what_was_lost_in_a_pause_keeps_it_paused(campaigns: CampaignService, trunk_id: int) -> None:
    """Resuming asks the same questions as starting."""
    made = await campaigns.create(SUPERVISOR, ready(trunk_id))
    campaign_id = made.campaign.id
    await campaigns.start(SUPERVISOR, campaign_id)
    await campaigns.pause(SUPERVISOR, campaign_id)
    await campaigns.edit(SUPERVISOR, campaign_id, CampaignEdit(trunks=[]))
    with pytest.raises(CampaignNotReady):
        await campaigns.resume(SUPERVISOR, campaign_id)
    assert (await campaigns.campaign(SUPERVISOR, campaign_id)).campaign.status is Status.PAUSED


# -- dispositions, leads, pause codes ----------------------------------------------------------------------


def outcome(code: str, label: str = "Итог") -> DispositionIn:
    return DispositionIn(code=code, label_ru=label, label_en="Outcome", kind="other")


async def test_dispositions_are_replaced_but_not_from_under_talks(
    campaigns: CampaignService, database: Database, trunk_id: int
) -> None:
    """New order and labels at once; a code that stands on a talk cannot go, and keeps its id."""
    made = await campaigns.create(SUPERVISOR, ready(trunk_id))
    campaign_id = made.campaign.id
    first = await campaigns.set_dispositions(
        SUPERVISOR, campaign_id, DispositionsIn(items=[outcome("b"), outcome("a")])
    )
    assert [one.code for one in first] == ["b", "a"]
    async with database.tenant(1) as conn:
        await conn.execute(
            insert(t.attempt).values(
                tenant_id=1,
                id=uuid4(),
                campaign_id=campaign_id,
                e164="+79160000001",
                trunk_id=trunk_id,
                caller_id="+74950000001",
                mode="progressive",
                policy="ru-service/1",
                state="ended",
                result="answered",
                created_at=datetime.now(UTC),
                ended_at=datetime.now(UTC),
                disposition_id=first[1].id,
            )
        )
    with pytest.raises(Conflict, match="a"):
        await campaigns.set_dispositions(SUPERVISOR, campaign_id, DispositionsIn(items=[outcome("b")]))
    second = await campaigns.set_dispositions(
        SUPERVISOR, campaign_id, DispositionsIn(items=[outcome("a", "Новый"), outcome("c")])
    )
    assert [(one.id == first[1].id, one.code, one.label_ru) for one in second] == [
        (True, "a", "Новый"),
        (False, "c", "Итог"),
    ]


async def test_agents_of_a_running_campaign_keep_something_to_choose(
    campaigns: CampaignService, trunk_id: int
) -> None:
    """A disposition is required before the next call: an empty list would hold every agent."""
    made = await campaigns.create(SUPERVISOR, ready(trunk_id))
    await campaigns.start(SUPERVISOR, made.campaign.id)
    with pytest.raises(Conflict):
        await campaigns.set_dispositions(SUPERVISOR, made.campaign.id, DispositionsIn(items=[]))
    await campaigns.set_dispositions(SUPERVISOR, made.campaign.id, DispositionsIn(items=[outcome("a")]))


async def test_leads_are_counted_and_shown_by_status(
    campaigns: CampaignService, database: Database, trunk_id: int
) -> None:
    """Every status has its count; pages go on where the last one ended."""
    made = await campaigns.create(SUPERVISOR, ready(trunk_id))
    campaign_id = made.campaign.id
    async with database.tenant(1) as conn:
        list_id = await conn.scalar(
            insert(t.contact_list).values(tenant_id=1, name="L").returning(t.contact_list.c.id)
        )
        contact_id = await conn.scalar(
            insert(t.contact).values(tenant_id=1, last_name="Иванов").returning(t.contact.c.id)
        )
        now = datetime.now(UTC)
        await conn.execute(
            insert(t.lead),
            [
                {
                    "tenant_id": 1,
                    "campaign_id": campaign_id,
                    "list_id": list_id,
                    "contact_id": contact_id,
                    "e164": f"+7916000000{n}",
                    "timezones": ["Europe/Moscow"],
                    "status": "closed" if n < 2 else "new",
                    "open_from": now,
                    "open_until": now + timedelta(hours=1),
                }
                for n in range(5)
            ],
        )
    view = await campaigns.campaign(SUPERVISOR, campaign_id)
    assert view.leads == {"new": 3, "offered": 0, "dialling": 0, "waiting": 0, "closed": 2}

    async def shown(status: str | None, after: str | None, limit: int) -> list[str]:
        rows = await campaigns.leads(SUPERVISOR, campaign_id, status=status, after_number=after, limit=limit)
        return [f"{row.last_name} {row.e164[-1]}" for row in rows]

    assert await shown("new", None, 2) == ["Иванов 2", "Иванов 3"]
    assert await shown("new", "+79160000003", 2) == ["Иванов 4"]
    assert len(await shown(None, None, 10)) == 5


async def test_pause_codes_begin_with_the_usual_ones(campaigns: CampaignService, database: Database) -> None:
    """Asked for at once by several, they are there once; then they are the tenant's own."""
    asked = await asyncio.gather(*(campaigns.pause_codes(AGENT) for _ in range(4)))
    assert all(codes == list(DEFAULT_PAUSE_CODES) for codes in asked)
    rest = PauseCodesIn(items=[PauseCodeIn(code="rest", label_ru="Отдых", label_en="Rest", limit_s=60)])
    await campaigns.set_pause_codes(SUPERVISOR, rest)
    assert [(one.code, one.limit_s) for one in await campaigns.pause_codes(AGENT)] == [("rest", 60)]


# -- who may -----------------------------------------------------------------------------------------------


async def test_an_agent_neither_makes_nor_runs_campaigns(campaigns: CampaignService, trunk_id: int) -> None:
    """And does not look at them either, but for what a talk may come to."""
    made = await campaigns.create(SUPERVISOR, ready(trunk_id))
    campaign_id = made.campaign.id
    for refused in (
        campaigns.create(AGENT, ready(trunk_id, name="Mine")),
        campaigns.edit(AGENT, campaign_id, CampaignEdit(ratio=2.0)),
        campaigns.start(AGENT, campaign_id),
        campaigns.pause(AGENT, campaign_id),
        campaigns.stop(AGENT, campaign_id),
        campaigns.delete(AGENT, campaign_id),
        campaigns.campaign(AGENT, campaign_id),
        campaigns.campaigns(AGENT),
        campaigns.leads(AGENT, campaign_id, status=None, after_number=None, limit=1),
        campaigns.set_dispositions(AGENT, campaign_id, DispositionsIn(items=[])),
        campaigns.set_pause_codes(
            AGENT, PauseCodesIn(items=[PauseCodeIn(code="x", label_ru="x", label_en="x")])
        ),
    ):
        with pytest.raises(Forbidden):
            await refused


async def test_a_campaign_of_another_tenant_does_not_exist(
    campaigns: CampaignService, owner_url: str, trunk_id: int
) -> None:
    """Nor do its trunks."""
    owner = await connect(owner_url)
    await owner.execute("INSERT INTO tenant (id, name) VALUES (2, 'Second')")
    await owner.close()
    made = await campaigns.create(SUPERVISOR, ready(trunk_id))
    stranger = Actor(2, None, Role.ADMINISTRATOR, "Stranger", "ru")
    assert await campaigns.campaigns(stranger) == []
    for attempt in (
        campaigns.campaign(stranger, made.campaign.id),
        campaigns.start(stranger, made.campaign.id),
        campaigns.edit(stranger, made.campaign.id, CampaignEdit(ratio=2.0)),
        campaigns.dispositions(stranger, made.campaign.id),
    ):
        with pytest.raises(NotFound):
            await attempt
    with pytest.raises(Invalid):
        await campaigns.create(stranger, ready(trunk_id))


async def test_a_policy_that_was_taken_away_keeps_a_campaign_back(
    campaigns: CampaignService, database: Database, trunk_id: int
) -> None:
    """An older row may name what this server does not know: it does not dial."""
    made = await campaigns.create(SUPERVISOR, ready(trunk_id))
    async with database.tenant(1) as conn:
        await conn.execute(update(t.campaign).values(policy="gone"))
    with pytest.raises(CampaignNotReady, match="policy"):
        await campaigns.start(SUPERVISOR, made.campaign.id)


def test_every_policy_has_its_reply() -> None:
    """With its hours in words and its limits."""
    shown = {policy.code: PolicyOut.of(policy) for policy in POLICIES.values()}
    assert shown["ru-230fz"].working == ["08:00-22:00"]
    assert shown["fr-advertising"].working == ["10:00-13:00", "14:00-20:00"]
    assert (shown["ru-230fz"].per_week, shown["default"].per_week) == (2, None)
    assert "power" in shown["ru-38fz"].forbidden_modes
