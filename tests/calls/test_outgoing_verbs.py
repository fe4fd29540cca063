"""Every verb in calls that we make, on a real Asterisk: it does for whom we have called what it does for
callers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Row, insert, select
from support.callers import END, path, publish
from support.centre import TENANT, Centre
from support.http_server import Server, server

from dialer.clock import utc_now
from dialer.compliance.policy import Purpose
from dialer.db import tables as t
from dialer.demo.numbers import Behaviour, encode
from dialer.voicemail.service import VoicemailService
from ivr_flows import shipped, yamlfile
from ivr_flows.model import Verb

__all__ = ["server"]

#: Answers, and presses 1 each time that we have said something.
PRESSES_ONE = encode(Behaviour.PRESSES, ring_s=0.5, detail=111).e164
QUESTION: Mapping[str, Any] = {"prompt": {"sound": "vm-options"}, "first_s": 6, "retries": 0}


@dataclass(frozen=True, slots=True)
class Case:
    """A verb in a campaign without agents."""

    verb: Verb
    properties: Mapping[str, Any]
    #: what it ends with
    ends: str
    #: transitions besides that to the end
    others: Sequence[str] = ()
    #: who is called
    whom: Behaviour = Behaviour.PRESSES
    outcome: str = "contained"

    @property
    def states(self) -> list[Mapping[str, Any]]:
        """The flow: the verb, then the end."""
        state = {"name": "it", "type": self.verb.value, "properties": dict(self.properties)}
        if self.verb is Verb.HANGUP:
            return [state]
        names = ("failed",) if self.verb is Verb.GOTO_FLOW else (self.ends, *self.others)
        return [{**state, "transitions": dict.fromkeys(names, "end")}, END]


def cases(url: str, office: str) -> list[Case]:
    """All verbs; the server is at `url`, `office` is a destination of the list."""
    tomorrow = (utc_now() + timedelta(days=1)).isoformat()
    return [
        Case(Verb.PLAY, {"sound": "vm-goodbye"}, "done"),
        Case(Verb.SAY, {"prompt": {"digits": "12"}}, "done"),
        Case(Verb.GATHER, {**QUESTION, "into": "age", "digits": 1}, "done", ["nothing", "invalid"]),
        Case(Verb.MENU, QUESTION, "1", ["nothing", "invalid"]),
        Case(Verb.SET, {"values": {"a": "b"}}, "done"),
        Case(Verb.LOOKUP, {"by": "id", "value": "{contact.id}"}, "found", ["unknown"]),
        Case(Verb.CONDITION, {"all": [{"variable": "caller", "begins": "+7"}]}, "yes", ["no"]),
        Case(Verb.SCHEDULE, {"week": {"mon-sun": "24h"}}, "open", ["closed"]),
        Case(Verb.ENQUEUE, {"queue": "sales", "max_wait_s": 1}, "timeout"),
        Case(Verb.DIAL, {"targets": [office]}, "answered", whom=Behaviour.STAYS, outcome="transferred"),
        Case(Verb.TRANSFER, {"target": office}, "done", whom=Behaviour.STAYS, outcome="transferred"),
        Case(Verb.OFFER, {**QUESTION, "place": "after"}, "accepted", ["declined", "none"]),
        Case(Verb.REQUEST_CALLBACK, {"when": tomorrow}, "done", ["refused"], outcome="callback"),
        Case(
            Verb.VOICEMAIL,
            {"box": "answers", "silence_s": 2, "most_s": 6},
            "done",
            ["empty"],
            # Whoever speaks by themselves: a greeting.
            whom=Behaviour.MACHINE,
            outcome="voicemail",
        ),
        Case(Verb.RECORD_CONSENT, {**QUESTION, "purpose": "survey"}, "given", ["refused"]),
        Case(Verb.OPT_OUT, {"scope": "campaign"}, "done"),
        Case(Verb.HTTP_REQUEST, {"url": f"{url}/x?of={{caller}}"}, "done", ["refused"]),
        Case(Verb.GOTO_FLOW, {"flow": "other"}, "done"),
        Case(Verb.HANGUP, {}, "done"),
    ]


def number(n: int, case: Case) -> str:
    """Whom the n-th campaign calls."""
    detail = {Behaviour.PRESSES: 111, Behaviour.STAYS: 15}.get(case.whom, 0)
    return f"+79{16 + n:02}{detail:03}{case.whom:02}01"


async def prepared(centre: Centre, server: Server) -> str:
    """What the verbs ask for is there; the name of the destination."""
    office = encode(Behaviour.LEAVES_TALK, ring_s=0.5, detail=15).e164
    await publish(centre, [END], "other")
    async with centre.database.tenant(TENANT) as conn:
        host = {"host": f"127.0.0.1:{server.port}", "inside": True}
        await conn.execute(insert(t.allowed_host).values(tenant_id=TENANT, **host))
        made = {"place": "after", "name": "Tyres", "text_en": "Cheap tyres today."}
        await conn.execute(insert(t.offer).values(tenant_id=TENANT, **made))
        listed = {"name": "Head office", "kind": "number", "value": office}
        await conn.execute(insert(t.destination).values(tenant_id=TENANT, **listed))
    return "Head office"


async def test_every_verb_does_for_whom_we_call_what_it_does_for_callers(
    centre: Centre, server: Server
) -> None:
    """A campaign a verb, each with one person: the way, what the call came to, and what is kept of it."""
    every = cases(server.url, await prepared(centre, server))
    assert {case.verb for case in every} == set(Verb)
    made = {}
    for n, case in enumerate(every):
        name = f"flow {case.verb.value}"
        await publish(centre, case.states, name)
        fields: dict[str, Any] = {"mode": "flow", "flow": name, "flow_lines": 2, "flow_rate": 5.0}
        made[case.verb] = await centre.campaign([number(n, case)], **fields)
    calls: dict[Verb, Row[Any]] = {}
    for case in every:
        (calls[case.verb],) = await centre.until_attempts(
            1, "ended", campaign_id=made[case.verb], within_s=90
        )
        call = calls[case.verb]
        way = [("it", case.ends)]
        if case.verb is not Verb.HANGUP:
            way.append(("end", "done"))
        assert await path(centre, call.id) == way, case.verb
        assert (call.result, call.outcome) == ("answered", case.outcome), case.verb
    await kept(centre, server, calls)


async def kept(centre: Centre, server: Server, calls: Mapping[Verb, Row[Any]]) -> None:
    """What the verbs have written down is of these calls."""
    (message,) = await VoicemailService(centre.database, centre.settings.recording_dir).messages(centre.actor)
    call = calls[Verb.VOICEMAIL]
    assert (message.call_id, message.inbound, message.box) == (call.id, False, "answers")
    assert (message.e164, message.campaign_id) == (call.e164, call.campaign_id)
    assert message.length_s > 1
    assert calls[Verb.GATHER].collected == {"age": "1"}
    (answer,) = await centre.rows(t.offer_answer)
    assert (answer.call_id, answer.answer) == (calls[Verb.OFFER].id, "accepted")
    (promise,) = await centre.rows(t.callback)
    assert promise.made_in == calls[Verb.REQUEST_CALLBACK].id
    (agreed,) = await centre.rows(t.consent)
    assert (agreed.contact_id, agreed.purpose) == (calls[Verb.RECORD_CONSENT].contact_id, Purpose.SURVEY)
    (refusal,) = await centre.rows(t.do_not_call)
    call = calls[Verb.OPT_OUT]
    assert (refusal.mark, refusal.campaign_id, refusal.attempt_id) == (call.e164, call.campaign_id, call.id)
    assert {row.call_id for row in await centre.rows(t.forward)} == {
        calls[verb].id for verb in (Verb.DIAL, Verb.TRANSFER)
    }
    (stay,) = await centre.rows(t.queue_stay)
    assert (stay.attempt_id, stay.ended) == (calls[Verb.ENQUEUE].id, "timeout")
    ((_, url, _, _),) = server.asked
    assert url.endswith(calls[Verb.HTTP_REQUEST].e164.removeprefix("+"))


async def test_a_shipped_visit_is_confirmed(centre: Centre) -> None:
    """Its one key says what the call came to, in the words of a campaign without agents."""
    flow = yamlfile.read(shipped.text("visit", "en"), "visit").value["states"]
    await publish(centre, [{**one, "properties": quick(one)} for one in flow], "visit")
    made = await centre.campaign([PRESSES_ONE], mode="flow", flow="visit", status="paused")
    async with centre.database.tenant(TENANT) as conn:
        contact_id = await conn.scalar(select(t.lead.c.contact_id).where(t.lead.c.campaign_id == made))
        at = {"visit_at": "2026-12-01T10:00"}
        await conn.execute(t.contact.update().where(t.contact.c.id == contact_id).values(custom=at))
        said = {"code": "visit-confirmed", "label_ru": "Да", "label_en": "Yes", "kind": "sale"}
        await conn.execute(insert(t.disposition).values(tenant_id=TENANT, campaign_id=made, **said))
    await centre.set_status(made, "running")
    (call,) = await centre.until_attempts(1, "ended", campaign_id=made)
    (lead,) = await centre.leads(made)
    assert [state for state, _ in await path(centre, call.id)] == ["known", "question", "kept", "confirmed"]
    (disposition,) = [row for row in await centre.rows(t.disposition) if row.id == call.disposition_id]
    assert (disposition.code, lead.status, lead.closed_reason) == ("visit-confirmed", "closed", "sale")


def quick(state: Mapping[str, Any]) -> dict[str, Any]:
    """What a state of a shipped flow has, spoken by a sound that is there."""
    said = dict(state.get("properties", {}))
    return said | {key: {"sound": "vm-options"} for key in said if key.endswith("prompt")}
