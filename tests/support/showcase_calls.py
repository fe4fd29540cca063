"""A showcase's calls: who has called, messages, recordings with their scores, walks of a script, promises."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, update

from dialer.callbacks.making import Asked
from dialer.callbacks.service import CallbackService
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.demo.voices import write_wav
from dialer.httpkit.access import Actor, Role
from dialer.ids import new_id
from dialer.inbound.http import INBOUND
from dialer.recordings.http import RECORDINGS
from dialer.recordings.recorder import make_day, relative_path
from dialer.reviews.http import REVIEW_FORMS, REVIEWS
from dialer.reviews.model import shipped
from dialer.voicemail import store as voicemail
from ivr_flows import shipped as flows
from support.came import DIALLED, came_in, number_of
from support.flow_pages import a_call
from support.promises import ROUND_THE_CLOCK
from support.recordings import keep, voice
from support.showcase import SERVER, Showcase
from support.showcase_set_up import SERVICE
from support.stage import TENANT

#: Ways through the shipped reception, each with what the call came to and its queue.
ASKED = (("hours", "open"), ("customer", "unknown"), ("hello", "done"))
WAYS = (
    ((*ASKED, ("departments", "1"), ("sales", "answered")), "answered", 1),
    ((*ASKED, ("departments", "2"), ("service", "answered")), "answered", 2),
    ((*ASKED, ("departments", "1"), ("sales", "hung_up")), "abandoned", 1),
    ((*ASKED, ("departments", "hung_up")), "left", 0),
    (
        (*ASKED, ("departments", "3"), ("parts", "timeout"), ("busy", "2"), ("message", "done")),
        "voicemail",
        3,
    ),
)


async def show_calls(made: Showcase) -> None:
    """All of it."""
    talks = await _talks(made)
    await _recordings(made, talks)
    await _script_runs(made, talks)
    await _surveys(made, talks)
    await _came_in(made)
    await _waits(made)
    await _messages(made)
    await _promises(made)


async def _talks(made: Showcase) -> list[UUID]:
    """The campaign's talks that are over, the latest first."""
    a = t.attempt.c
    async with made.stage.database.tenant(TENANT) as conn:
        query = select(a.id).where(a.result == "answered", a.state == "ended").order_by(a.created_at.desc())
        return list(await conn.scalars(query))


async def _recordings(made: Showcase, talks: list[UUID]) -> None:
    app, boss, now = made.web.app, made.boss, utc_now()
    folder = made.web.settings.recording_dir
    for n, call in enumerate(talks[:8]):
        more: dict[str, Any] = {}
        if n == 0:
            held = made.say("жалоба клиента", "a customer's complaint")
            more = {"pauses": [{"from_s": 5.0, "until_s": 7.0}], "held_at": now, "hold_reason": held}
        at = now - timedelta(minutes=4 * n + 2)
        recording = await keep(made.stage.database, folder, call, at=at, seconds=20.0 + 3 * n, **more)
        if n == 0:
            await app[RECORDINGS].mark(boss, recording, 2.0, made.say("Приветствие", "Greeting"))
            await app[RECORDINGS].mark(boss, recording, 11.0, made.say("Возражение", "Objection"))
    made.names["attempt_id"] = talks[0]
    form = await app[REVIEW_FORMS].add(boss, made.say("Разговоры", "Talks"), shipped(made.locale))
    await app[REVIEW_FORMS].add_plan(boss, form.id, 3)
    made.names["form_id"] = form.id
    keys = [one.key for one in form.criteria]
    comments = (
        made.say("Спокойно и по делу", "Calm and to the point"),
        made.say("Перебивал", "Interrupted"),
        "",
    )
    for n, call in enumerate(talks[:5]):
        points = {key: 3 + (n + place) % 3 for place, key in enumerate(keys)}
        await app[REVIEWS].score(boss, call, form.id, points, comments[n % 3])
    other = await made.person("quality", made.say("Седова Анна", "Sedova Anna"), Role.QUALITY)
    scorers = boss, Actor(TENANT, other.id, other.role, other.name, made.locale)
    reason = made.say("Спорный разговор", "A talk in dispute")
    for _ in range(2):
        calibration = (await app[REVIEWS].open_calibration(boss, talks[0], form.id, reason)).id
        for n, scorer in enumerate(scorers):
            await app[REVIEWS].score_blind(scorer, calibration, dict.fromkeys(keys, 4 - n))
    await app[REVIEWS].close(boss, calibration)
    made.names["calibration_id"] = calibration
    made.names["open_calibration"] = calibration - 1


async def _script_runs(made: Showcase, talks: list[UUID]) -> None:
    dice, now = random.Random(3), utc_now()
    rows = []
    for n, call in enumerate(talks[:40]):
        began = now - timedelta(minutes=50 - n)
        rows.append(
            {
                "tenant_id": TENANT, "call_id": call, "attempt_id": call, "version": 1, "step": "bye",
                "script_id": made.names["script_id"], "required": 4, "collected": dice.choice((2, 4, 4, 4)),
                "began_at": began, "changed_at": began + timedelta(seconds=90),
                "ended_at": began + timedelta(seconds=90) if n % 5 else None,
            }
        )  # fmt: skip
    async with made.stage.database.tenant(TENANT) as conn:
        await conn.execute(insert(t.script_run), rows)


async def _surveys(made: Showcase, talks: list[UUID]) -> None:
    """What customers said after their talks: most to the end, some hung up on the way."""
    dice, now, a = random.Random(4), utc_now(), t.attempt.c
    boss = made.boss
    flow = await made.web.app[INBOUND].write(boss, flows.text("rating", made.locale))
    await made.web.app[INBOUND].publish(boss, "rating", flow.version, "live")
    rows = []
    async with made.stage.database.tenant(TENANT) as conn:
        query = select(a.id, a.agent_id).where(a.id.in_(talks[:24]), a.agent_id.is_not(None))
        for n, (call, agent_id) in enumerate((await conn.execute(query)).all()):
            answers = {"rating.agent": dice.choice("3445555")} if n % 6 else {}
            if n % 4:
                answers |= {"rating.settled": dice.choice(("yes", "yes", "no"))} if answers else {}
            rows.append(
                {
                    "tenant_id": TENANT, "call_id": call, "attempt_id": call, "agent_id": agent_id,
                    "flow": "rating", "version": flow.version, "answers": answers,
                    "finished": len(answers) == 2, "began_at": now - timedelta(minutes=3 * n + 1),
                }
            )  # fmt: skip
        await conn.execute(insert(t.talk_survey), rows)


def _queue(made: Showcase, n: int) -> str:
    return ("", made.say("Продажи", "Sales"), made.say("Сервис", "Service"), made.say("Запчасти", "Parts"))[n]


async def _came_in(made: Showcase) -> None:
    """Calls of the day by their ways through the flow; one is on the line."""
    dice, now, stage = random.Random(2), utc_now(), made.stage
    for n in range(36):
        way, result, queue = dice.choice(WAYS)
        at = now - timedelta(minutes=5 + 9 * n)
        over = at + timedelta(seconds=dice.randint(20, 200))
        columns: dict[str, Any] = {
            "result": result, "queue": _queue(made, queue) or None, "state": "ended", "answered_at": at,
            "hung_up_at": over, "ended_at": over, "collected": {"reason": "sales"} if queue else {},
        }  # fmt: skip
        if result == "answered":
            agent = n % len(stage.agents)
            columns |= {
                "agent_id": stage.agents[agent], "session_id": stage.shifts[stage.agents[agent]],
                "queued_at": at + timedelta(seconds=12), "assigned_at": at + timedelta(seconds=20),
                "connected_at": at + timedelta(seconds=20),
                "reason": (None, made.say("Цена и наличие", "Price and stock"))[n % 2],
                "disposition_id": stage.dispositions["interest"], "disposed_at": over,
            }  # fmt: skip
        call = await a_call(
            stage.database, DIALLED if n % 3 else SERVICE, *way, at=at,
            caller=f"+7916{dice.randint(0, 9_999_999):07}", **columns,
        )  # fmt: skip
        if result == "answered" and "incoming" not in made.names:
            made.names["incoming"] = call
    await a_call(
        stage.database, DIALLED, *ASKED, ("departments", "1"), ("sales", None), at=now - timedelta(seconds=48)
    )


async def _waits(made: Showcase) -> None:
    """Waits of three hours in two queues, in one of which somebody waits still; who has kept a place."""
    now, stage = utc_now(), made.stage
    q = t.queue.c
    async with stage.database.tenant(TENANT) as conn:
        queues = {row.name: row.id for row in await conn.execute(select(q.name, q.id))}
        call_id = await came_in(conn, stage.campaign_id, now, result="answered")
        for n in range(60):
            at, name = now - timedelta(minutes=3 * n, seconds=40), _queue(made, 1 if n % 3 else 2)
            ended = None if n == 0 else "abandoned" if n % 7 == 0 else "answered"
            over = {"left_at": at + timedelta(seconds=n % 35), "ended": ended} if ended else {}
            agent = {"agent_id": stage.agents[n % 6]} if ended == "answered" else {}
            row = {
                "tenant_id": TENANT, "call_id": call_id, "n": n, "priority": 5, "entered_at": at, "since": at,
                "queue": name, "queue_id": queues[name],
            }  # fmt: skip
            await conn.execute(insert(t.queue_stay).values(row | over | agent))
        people = list(await conn.scalars(select(t.contact.c.id).order_by(t.contact.c.id).limit(3)))
        for n, person in enumerate(people):
            since, e164 = now - timedelta(minutes=9 - 2 * n), f"+7916111220{n}"
            call_id = await came_in(conn, stage.campaign_id, since, contact_id=person, e164=e164)
            place = {
                "tenant_id": TENANT, "call_id": call_id, "queue_id": queues[_queue(made, 1)],
                "queue": _queue(made, 1), "campaign_id": stage.campaign_id, "contact_id": person,
                "e164": e164, "priority": 5, "since": since, "kept_at": since + timedelta(minutes=1),
                "reason": made.say("Цена и наличие", "Price and stock") if n else "", "tries": n == 1,
                "not_before": now + timedelta(minutes=4) if n == 1 else None,
            }  # fmt: skip
            await conn.execute(insert(t.kept_place).values(place))


async def _messages(made: Showcase) -> None:
    """Three messages in the box of the reception."""
    now, stage, folder = utc_now(), made.stage, made.web.settings.recording_dir
    async with stage.database.tenant(TENANT) as conn:
        number_id, flow_id = await number_of(conn, stage.campaign_id)
        phones = (await conn.execute(select(t.lead.c.contact_id, t.lead.c.e164).limit(3))).all()
        for n, phone in enumerate(phones):
            at, call_id = now - timedelta(minutes=20 * n + 6), new_id()
            path = relative_path(call_id, at)
            await conn.execute(
                insert(t.inbound_call).values(
                    tenant_id=TENANT, id=call_id, number_id=number_id, dialled=DIALLED, flow_id=flow_id,
                    flow_version=1, campaign_id=stage.campaign_id, contact_id=phone.contact_id,
                    e164=phone.e164, node="main", channel=f"m.{n}", state="ended", result="voicemail",
                    created_at=at, answered_at=at, hung_up_at=at, ended_at=at,
                )
            )  # fmt: skip
            await asyncio.to_thread(make_day, folder, path)
            await asyncio.to_thread(write_wav, folder / path, voice(6.0 + 4 * n))
            box = "reception" if n else made.say("продажи", "sales")
            message = await voicemail.begin(conn, TENANT, call_id, box, path, at, inbound=True)
            await voicemail.keep(conn, TENANT, message, 6.0 + 4 * n, 16_000 * (6 + 4 * n), at)


async def _promises(made: Showcase) -> None:
    """Calls that people were promised: one is late, some are of today, some of the days after."""
    service, stage, now = CallbackService(made.web.database), made.stage, utc_now()
    c, lead, b = t.campaign.c, t.lead.c, t.callback.c
    notes = (
        made.say("ждёт расчёт по кредиту", "waits for an estimate"),
        "",
        made.say("муж будет дома", "with spouse"),
    )
    async with stage.database.tenant(TENANT) as conn:
        mine = c.id == stage.campaign_id
        hours = (await conn.execute(select(c.policy, c.call_from, c.call_until).where(mine))).one()
        # Whatever the hour is now.
        await conn.execute(update(t.campaign).where(mine).values(ROUND_THE_CLOCK))
        query = (
            select(lead.contact_id)
            .where(lead.status.in_(("new", "waiting")))
            .order_by(lead.id.desc())
            .limit(9)
        )
        people = list(await conn.scalars(query))
    for n, contact_id in enumerate(people):
        asked = Asked(
            now + timedelta(minutes=25 + 200 * n),
            agent_id=stage.agents[n % 6] if n % 3 else None,
            note=notes[n % 3],
        )
        made.names["callback_id"] = (await service.make(SERVER, stage.campaign_id, contact_id, asked)).id
    before = now - timedelta(hours=1)
    async with stage.database.tenant(TENANT) as conn:
        await conn.execute(update(t.campaign).where(mine).values(hours._asdict()))
        late = b.id == made.names["callback_id"]
        await conn.execute(update(t.callback).where(late).values(due_at=before, from_at=before))
