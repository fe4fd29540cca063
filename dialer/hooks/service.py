"""What a dialplan can ask and tell. HTTP and FastAGI call these same functions.

Who asks is a token of the scope `hooks`; what is written is written under the name of the token's user.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.callbacks.making import Asked
from dialer.callbacks.phoned import put_on_a_list
from dialer.callbacks.service import CallbackService
from dialer.clock import utc_now
from dialer.compliance.policy import Purpose
from dialer.contacts.numbers import BadNumber, number_of, read_number
from dialer.contacts.people import PersonService
from dialer.contacts.store import campaign_exists
from dialer.db.session import Database
from dialer.donotcall import store as donotcall
from dialer.donotcall.model import Refusal, Source
from dialer.donotcall.service import DoNotCallService
from dialer.errors import Conflict, Invalid, NeedsCallToken, NotFound
from dialer.hooks import store
from dialer.hooks.leads import Destinations
from dialer.hooks.model import (
    CALL_TOKEN_S,
    MOST_CHANGES,
    Answer,
    Answered,
    Asker,
    CallToken,
    Outcome,
    Status,
    call_token,
    digest_of,
    field_variable,
    read_call_token,
    variables,
)
from dialer.hooks.store import Known
from dialer.httpkit.access import Actor, Right, Role
from dialer.httpkit.limits import TryLimit
from dialer.queues.service import QueueService
from dialer.settings import Settings

#: Changes within a minute: of one call, and to one number by whichever call.
CHANGES_A_CALL, CHANGES_A_NUMBER, CHANGES_WINDOW_S = 60, 30, 60.0
#: A limit by the second is counted over so many.
RATE_WINDOW_S = 5.0


@dataclass(frozen=True, slots=True)
class _Call:
    """A call that asks, as far as it is known."""

    asker: Asker
    #: its own number, E.164; None: it has none that could be read
    own: str | None
    #: of the API token
    key: str


class HookService:
    """The hooks of all tenants. Raises Forbidden where the actor is no token of the scope `hooks`, and
    TooManyRequests, in every function."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        *,
        do_not_call: DoNotCallService,
        callbacks: CallbackService,
        people: PersonService,
        queues: QueueService,
    ) -> None:
        self._database = database
        self._region = settings.default_region
        self._do_not_call = do_not_call
        self._callbacks = callbacks
        self._people = people
        self._destinations = Destinations(database, queues)
        self._keys: dict[int, str] = {}
        self._asked = TryLimit(int(settings.hooks_per_s * RATE_WINDOW_S), RATE_WINDOW_S)
        self._by_call = TryLimit(CHANGES_A_CALL, CHANGES_WINDOW_S)
        self._by_number = TryLimit(CHANGES_A_NUMBER, CHANGES_WINDOW_S)

    # -- asking ----------------------------------------------------------------------------------------------

    async def lookup(
        self, actor: Actor, asker: Asker, *, number: str | None = None, fields: Sequence[str] = ()
    ) -> Answer:
        """Who has the number, by default the call's own. It tells the dialplan, not the caller: whoever calls
        with this caller id may be somebody else. Raises BadNumber of `number`."""
        async with self._database.tenant(actor.tenant_id) as conn:
            call = await self._begin(conn, actor, asker)
            e164 = self._read(number) if number else call.own
            found = await store.known(conn, actor.tenant_id, e164) if e164 else None
            covered = await donotcall.covering(conn, actor.tenant_id, [e164] if e164 else [], 0, utc_now())
        told: dict[str, object] = {
            "DOZVON_NUMBER": e164,
            "DOZVON_DO_NOT_CALL": bool(covered),
            "DOZVON_PEOPLE": found.people if found else 0,
            "DOZVON_CONTACT": found.contact_id if found else None,
            "DOZVON_EXTERNAL_ID": found.external_id if found else None,
            "DOZVON_LAST_NAME": found.last_name if found else None,
            "DOZVON_FIRST_NAME": found.first_name if found else None,
            "DOZVON_MIDDLE_NAME": found.middle_name if found else None,
        }
        for name in fields:
            told[field_variable(name)] = found.custom.get(name) if found else None
        return _answered(call, Status.OK if found else Status.NOT_FOUND, told)

    async def route(
        self,
        actor: Actor,
        asker: Asker,
        *,
        number: str | None = None,
        dialled: str | None = None,
        queue: str | None = None,
    ) -> Answer:
        """Where the call had best go. DOZVON_ROUTE: `agent`, the one of the last talk is free; `known`, the
        number is somebody's; `new`, nobody's. `dialled`, a number of ours: where its flow leads now; `queue`:
        who is at work there. Raises BadNumber of `number`; NotFound of `dialled` and `queue`."""
        async with self._database.tenant(actor.tenant_id) as conn:
            call = await self._begin(conn, actor, asker)
            e164 = self._read(number) if number else call.own
            found = await store.known(conn, actor.tenant_id, e164) if e164 else None
            talk = await store.last_talk(conn, actor.tenant_id, e164) if e164 else None
        free = talk is not None and talk.state == "ready"
        told: dict[str, object] = {
            "DOZVON_ROUTE": "agent" if free else "known" if found or talk else "new",
            "DOZVON_AGENT": talk.endpoint if talk else None,
            "DOZVON_AGENT_NAME": talk.agent if talk else None,
            "DOZVON_AGENT_STATE": (talk.state or "offline") if talk else None,
            "DOZVON_CAMPAIGN": talk.campaign_id if talk else None,
        }
        if dialled or queue:
            told |= await self._leads(_acting(actor), e164 or "", dialled or "", queue or "")
        return _answered(call, Status.OK if found or talk else Status.NOT_FOUND, told)

    async def _leads(self, acting: Actor, e164: str, dialled: str, queue: str) -> dict[str, object]:
        if queue:
            leads = await self._destinations.of_queue(acting, queue)
        else:
            leads = await self._destinations.of_number(acting, dialled, e164, utc_now())
        if leads is None:
            raise NotFound(what="queue" if queue else "number", key=queue or dialled)
        return {
            "DOZVON_CALLED_FLOW": leads.flow,
            "DOZVON_CALLED_STATE": leads.state,
            "DOZVON_CALLED_QUEUE": leads.queue,
            "DOZVON_AT_WORK": leads.at_work,
            "DOZVON_FREE": leads.free,
            "DOZVON_WAITING": leads.waiting,
        }

    # -- telling ---------------------------------------------------------------------------------------------

    async def opt_out(
        self, actor: Actor, asker: Asker, *, number: str | None = None, reason: str = ""
    ) -> Answer:
        """Have nobody call the number again. Raises BadNumber, NeedsCallToken, Invalid."""
        call, e164 = await self._to_change(actor, asker, number)
        if not asker.check:
            said = Refusal(Source.KEY_PRESS, reason=reason or "asked for in a call")
            await self._do_not_call.add(_acting(actor), [e164], [], said)
        return _answered(call, Status.OK, {"DOZVON_NUMBER": e164})

    async def callback(
        self,
        actor: Actor,
        asker: Asker,
        *,
        campaign: int,
        number: str | None = None,
        after_min: int = 1,
        note: str = "",
    ) -> Answer:
        """Promise the number a call by this campaign, so many minutes from now or when it is open after that.
        Whoever is not known becomes a contact. Raises BadNumber, NeedsCallToken, Invalid, and what promising
        raises: NotFound of the campaign, NotAllowed, WrongState."""
        call, e164 = await self._to_change(actor, asker, number)
        if asker.check:
            return _answered(call, Status.OK, {"DOZVON_CALLBACK": None, "DOZVON_CALLBACK_AT": None})
        acting = _acting(actor)
        async with self._database.tenant(actor.tenant_id) as conn:
            found = await store.known(conn, actor.tenant_id, e164)
            if not await campaign_exists(conn, actor.tenant_id, campaign):
                raise NotFound(what="campaign", key=campaign)
        contact_id = found.contact_id if found else await self._added(acting, e164)
        async with self._database.tenant(actor.tenant_id) as conn:
            await put_on_a_list(conn, actor.tenant_id, campaign, contact_id)
        asked = Asked(utc_now() + timedelta(minutes=after_min), note=note)
        made = await self._callbacks.make(acting, campaign, contact_id, asked)
        told = {"DOZVON_CALLBACK": made.id, "DOZVON_CALLBACK_AT": int(made.due_at.timestamp())}
        return _answered(call, Status.OK, told)

    async def outcome(
        self, actor: Actor, asker: Asker, *, outcome: str, number: str | None = None, note: str = ""
    ) -> Answer:
        """Write down what became of the call; the last word counts. Raises BadNumber, NeedsCallToken."""
        call, e164 = await self._to_change(actor, asker, number, must=False)
        if not asker.check:
            async with self._database.tenant(actor.tenant_id) as conn:
                await store.write_outcome(
                    conn,
                    actor.tenant_id,
                    channel=asker.channel,
                    outcome=outcome,
                    note=note,
                    e164=e164 or None,
                    contact_id=await self._one_person(conn, actor, e164),
                )
        return _answered(call, Status.OK, {})

    async def survey_answer(
        self,
        actor: Actor,
        asker: Asker,
        *,
        survey: str,
        question: str,
        answer: str,
        number: str | None = None,
    ) -> Answer:
        """Write an answer down; another to the same question in the same call takes its place. Raises
        BadNumber, NeedsCallToken."""
        call, e164 = await self._to_change(actor, asker, number, must=False)
        if not asker.check:
            async with self._database.tenant(actor.tenant_id) as conn:
                await store.write_answer(
                    conn,
                    actor.tenant_id,
                    channel=asker.channel,
                    survey=survey,
                    question=question,
                    answer=answer,
                    e164=e164 or None,
                    contact_id=await self._one_person(conn, actor, e164),
                )
        return _answered(call, Status.OK, {})

    async def consent(
        self,
        actor: Actor,
        asker: Asker,
        *,
        purpose: Purpose,
        number: str | None = None,
        contact: int | None = None,
        days: int | None = None,
        proof: str = "",
    ) -> Answer:
        """Write down that the person agrees to be called for the purpose, for so many days or until they take
        it back. `contact` says who of several that have the number. NOT_FOUND where nobody has it. Raises
        BadNumber, NeedsCallToken, Invalid."""
        call, e164 = await self._to_change(actor, asker, number)
        async with self._database.tenant(actor.tenant_id) as conn:
            found = await store.known(conn, actor.tenant_id, e164)
            named = contact is not None and await store.has(conn, actor.tenant_id, e164, contact)
        if asker.check:
            return _answered(call, Status.OK, {"DOZVON_CONTACT": None})
        if found is None:
            return _answered(call, Status.NOT_FOUND, {"DOZVON_CONTACT": None})
        if contact is not None and not named:
            raise Invalid(field="contact", reason="does not have the number")
        if contact is None and found.people > 1:
            raise Invalid(field="contact", reason="is missing: several people have the number")
        contact_id = found.contact_id if contact is None else contact
        now = utc_now()
        await self._people.add_consent(
            _acting(actor),
            contact_id,
            purpose,
            f"call {asker.channel}",
            proof=proof,
            valid_from=now,
            valid_until=now + timedelta(days=days) if days else None,
        )
        return _answered(call, Status.OK, {"DOZVON_CONTACT": contact_id})

    # -- what dialplans have told ----------------------------------------------------------------------------

    async def outcomes(
        self,
        actor: Actor,
        *,
        outcome: str | None = None,
        contact_id: int | None = None,
        before: tuple[datetime, int] | None = None,
        limit: int,
    ) -> list[Outcome]:
        """Outcomes that dialplans have written down; see the store."""
        actor.require(Right.CALLS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await store.outcomes(
                conn, actor.tenant_id, outcome=outcome, contact_id=contact_id, before=before, limit=limit
            )

    async def answers(
        self,
        actor: Actor,
        *,
        survey: str | None = None,
        question: str | None = None,
        contact_id: int | None = None,
        before: tuple[datetime, int] | None = None,
        limit: int,
    ) -> list[Answered]:
        """Answers to surveys that dialplans have written down; see the store."""
        actor.require(Right.CALLS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await store.answers(
                conn,
                actor.tenant_id,
                survey=survey,
                question=question,
                contact_id=contact_id,
                before=before,
                limit=limit,
            )

    # -- the call that asks ----------------------------------------------------------------------------------

    async def _begin(self, conn: AsyncConnection, actor: Actor, asker: Asker) -> _Call:
        actor.require(Right.HOOKS_CALL)
        assert actor.token_id is not None
        self._asked.take(str(actor.token_id))
        key = self._keys.get(actor.token_id)
        if key is None:
            key = await store.call_key(conn, actor.tenant_id, actor.token_id)
            if key is None:  # revoked and removed between the door and here
                raise NotFound(what="token", key=actor.token_id)
            self._keys[actor.token_id] = key
        return _Call(asker, await self._own(conn, actor, asker), key)

    async def _own(self, conn: AsyncConnection, actor: Actor, asker: Asker) -> str | None:
        """The call's own number: what the server has dialled, or the caller id, if it is a number."""
        try:
            call_id = UUID(asker.channel)
        except ValueError:
            call_id = None
        if call_id is not None and (e164 := await store.dialled(conn, actor.tenant_id, call_id)):
            return e164
        read = read_number(asker.caller, self._region) if asker.caller else None
        return None if read is None or isinstance(read, BadNumber) else read.e164

    async def _to_change(
        self, actor: Actor, asker: Asker, number: str | None, *, must: bool = True
    ) -> tuple[_Call, str]:
        """The call, and the number that it may change something of; empty: it has none (not with `must`)."""
        async with self._database.tenant(actor.tenant_id) as conn:
            call = await self._begin(conn, actor, asker)
            e164 = self._read(number) if number else call.own or ""
            if not e164 and must and not asker.check:
                raise Invalid(field="number", reason="is missing: the call has none of its own")
            self._by_call.take(f"{actor.tenant_id} {asker.channel}")
            if e164:
                self._by_number.take(f"{actor.tenant_id} {e164}")
            if e164 and e164 != call.own:
                await self._use(conn, actor, call)
        return call, e164

    async def _use(self, conn: AsyncConnection, actor: Actor, call: _Call) -> None:
        """Use the call's token up. Raises NeedsCallToken."""
        text, channel = call.asker.call_token, call.asker.channel
        good = read_call_token(call.key, channel, text, time.time()) is not None
        if good and not call.asker.check:
            good = await store.use(
                conn, actor.tenant_id, digest_of(text), channel, most=MOST_CHANGES, keep_s=2 * CALL_TOKEN_S
            )
        if not good:
            raise NeedsCallToken(field="number")

    def _read(self, written: str) -> str:
        read = number_of(written, self._region)
        return read.e164

    async def _one_person(self, conn: AsyncConnection, actor: Actor, e164: str) -> int | None:
        """Who has the number, where that is one."""
        found = await store.known(conn, actor.tenant_id, e164) if e164 else None
        return found.contact_id if found is not None and found.people == 1 else None

    async def _added(self, acting: Actor, e164: str) -> int:
        """A contact with this number and nothing else."""
        try:
            return (await self._people.add(acting, {}, [e164])).card.id
        except Conflict:  # two calls of one number at one moment
            async with self._database.tenant(acting.tenant_id) as conn:
                found: Known | None = await store.known(conn, acting.tenant_id, e164)
            if found is None:
                raise
            return found.contact_id


def _acting(actor: Actor) -> Actor:
    """Under whose name, and with which rights, a hook changes what it may: the token's user wrote it down."""
    return Actor(actor.tenant_id, actor.user_id, Role.SUPERVISOR, actor.name, actor.locale)


def _answered(call: _Call, status: Status, told: Mapping[str, object]) -> Answer:
    token = CallToken(int(time.time()) + CALL_TOKEN_S, secrets.token_urlsafe(9))
    return Answer(status, call_token(call.key, call.asker.channel, token), variables(told))
