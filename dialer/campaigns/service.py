"""What can be done with campaigns.

Every change is one transaction: the row, the log of changes, the event and the engine's wake-up. A pause
takes the campaign's row; a claim of calls holds it FOR SHARE, so once the pause has committed nothing more is
dialled. What a reply shows is read afterwards: a count of many leads never delays a pause.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

from sqlalchemy import func
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.campaigns import store
from dialer.campaigns.editing import changed
from dialer.campaigns.fields import CampaignEdit, CampaignIn, DispositionsIn, PauseCodesIn, RetriesIn
from dialer.campaigns.model import (
    Action,
    AsteriskSounds,
    Campaign,
    Disposition,
    Outlook,
    PauseCode,
    Status,
    after,
    check_editable,
    start_settings,
    usual_dispositions,
)
from dialer.campaigns.store import KeptDisposition, LeadRow, Outcome
from dialer.compliance.policies import CAREFUL
from dialer.compliance.policy import Policy, Purpose
from dialer.compliance.readiness import Problem, rule_problems, start_problems
from dialer.db import events, flows
from dialer.db.session import Database
from dialer.db.tables import CAMPAIGN_PURPOSES
from dialer.errors import BadSound, CampaignNotReady, Conflict, Invalid, NotFound, PartMissing, WrongState
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right
from dialer.policies import store as policies
from dialer.said import Said, told
from dialer.scripts import store as scripts
from dialer.surveys import fitting
from dialer.trunks import store as trunk_store
from scheduler import changes as changes_of_leads
from scheduler.changes import What


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason why a campaign may not start."""

    #: stable name
    code: str
    #: the sentence; can be translated
    reason: Said


@dataclass(frozen=True, slots=True)
class CampaignView:
    """A campaign with what people want to see of it at once."""

    campaign: Campaign
    #: ids in the order they are tried
    trunks: Sequence[int]
    #: leads by status
    leads: Mapping[str, int]
    #: why it may not start; empty: it may
    ready_reasons: Sequence[Reason]
    #: the version of its policy that it goes by; the careful default's where there is none such any more
    policy: Policy
    #: told by a start: it runs, and dials nothing for these reasons (stable name, sentence)
    warnings: Sequence[tuple[str, str]] = ()


class CampaignService:
    """Campaigns of a tenant. `sounds` makes the message that people hear; without it none is asked for.
    `outlook` says at a start why nothing is dialled."""

    def __init__(
        self, database: Database, sounds: AsteriskSounds | None = None, outlook: Outlook | None = None
    ) -> None:
        self._database = database
        self._sounds = sounds
        self._outlook = outlook

    # -- looking -------------------------------------------------------------------------------------------

    async def campaigns(
        self, actor: Actor, *, status: str | None = None, before: int | None = None, limit: int = 50
    ) -> list[Campaign]:
        """Campaigns, newest first, with ids below `before`."""
        actor.require(Right.CAMPAIGNS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await store.page(conn, actor.tenant_id, status=status, before=before, limit=limit)

    async def campaign(self, actor: Actor, campaign_id: int) -> CampaignView:
        """One campaign. Raises NotFound."""
        actor.require(Right.CAMPAIGNS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await self._view(conn, actor, campaign_id)

    async def rule_problems(self, actor: Actor, policy: str, mode: str, purpose: str) -> list[Reason]:
        """Why a campaign of this kind could not start under the policy, before it is saved."""
        actor.require(Right.CAMPAIGNS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            found = await policies.find(conn, actor.tenant_id, policy)
        if found is None or purpose not in CAMPAIGN_PURPOSES:
            return []
        problems = rule_problems(mode, Purpose(purpose), found)
        return [Reason(one.code, _said(one)) for one in problems]

    async def dispositions(self, actor: Actor, campaign_id: int) -> list[KeptDisposition]:
        """Its dispositions in order; agents need them too. Raises NotFound."""
        if not actor.may(Right.WORK):
            actor.require(Right.CAMPAIGNS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            await _found(conn, actor, campaign_id)
            return await store.dispositions(conn, actor.tenant_id, campaign_id)

    async def leads(
        self, actor: Actor, campaign_id: int, *, status: str | None, after_number: str | None, limit: int
    ) -> list[LeadRow]:
        """Its leads in the order of their numbers. Raises NotFound."""
        actor.require(Right.CONTACTS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            await _found(conn, actor, campaign_id)
            return await store.leads(
                conn, actor.tenant_id, campaign_id, status=status, after=after_number, limit=limit
            )

    # -- making and changing -------------------------------------------------------------------------------

    async def create(self, actor: Actor, wanted: CampaignIn) -> CampaignView:
        """Make a draft with the usual dispositions of its mode. Raises Invalid, Conflict."""
        actor.require(Right.CAMPAIGNS_EDIT)
        tenant_id, dispositions = actor.tenant_id, usual_dispositions(wanted.mode)
        async with self._database.tenant(tenant_id) as conn:
            await _check_trunks(conn, actor, wanted.trunks)
            _check_retries(wanted.retries, [one.code for one in dispositions])
            await _check_policy(conn, actor, wanted)
            await _check_script(conn, actor, wanted.script)
            await fitting.check(conn, tenant_id, wanted.survey)
            try:
                campaign_id = await store.add(conn, tenant_id, wanted.model_dump())
            except IntegrityError:
                raise _name_taken(wanted.name) from None
            await store.set_trunks(conn, tenant_id, campaign_id, wanted.trunks)
            await store.set_dispositions(conn, tenant_id, campaign_id, dispositions)
            await store.ensure_pause_codes(conn, tenant_id)
            await audit.record(conn, actor, "campaign.create", _subject(campaign_id), name=wanted.name)
            await _tell(conn, actor, campaign_id, wanted.name, Status.DRAFT)
        return await self.campaign(actor, campaign_id)

    async def edit(
        self,
        actor: Actor,
        campaign_id: int,
        changes: CampaignEdit,
        seen: Mapping[str, Any] | None = None,
    ) -> CampaignView:
        """Change a draft or paused campaign, or the pace of one that runs.

        `seen`: what the fields were as the sender saw them, see `as_seen`. What was left so is not changed,
        though somebody else has changed it meanwhile; what both have changed is a Conflict.

        Raises NotFound, WrongState, Invalid, Conflict, CampaignNotReady.
        """
        actor.require(Right.CAMPAIGNS_EDIT)
        tenant_id = actor.tenant_id
        async with self._database.tenant(tenant_id) as conn:
            now = await _found(conn, actor, campaign_id, lock=True)
            before = await _fields(conn, actor, now)
            wanted, different = changed(before, changes, seen)
            check_editable(now.status, now.name, before, different)
            # What a campaign that runs has lost since its start (a trunk) does not keep it from being tuned.
            wrong = await _problems(conn, actor, now) if now.status is Status.RUNNING else []
            if not {"policy", "policy_version"}.isdisjoint(different):
                await _check_policy(conn, actor, wanted)
            if "script" in different:
                await _check_script(conn, actor, wanted.script)
            if "survey" in different:
                await fitting.check(conn, tenant_id, wanted.survey)
            if "trunks" in different:
                await _check_trunks(conn, actor, wanted.trunks)
                await store.set_trunks(conn, tenant_id, campaign_id, wanted.trunks)
            if "mode" in different:
                await store.add_dispositions(conn, tenant_id, campaign_id, usual_dispositions(wanted.mode))
            if "retries" in different:
                kept = await store.dispositions(conn, tenant_id, campaign_id)
                _check_retries(wanted.retries, [one.code for one in kept])
            if "lead_order" in different:
                await changes_of_leads.ask(conn, tenant_id, campaign_id, What.ORDER)
            if "abandon_message" in different:
                different["abandon_sound"] = None  # it says the old words
            try:
                await store.change(conn, tenant_id, campaign_id, different)
            except IntegrityError:
                raise _name_taken(wanted.name) from None
            if now.status is Status.RUNNING:
                tuned = await _found(conn, actor, campaign_id)
                new = [one for one in await _problems(conn, actor, tuned) if one not in wrong]
                if new:
                    raise not_ready(new)
            await audit.record(conn, actor, "campaign.edit", _subject(campaign_id), fields=sorted(different))
            await _tell(conn, actor, campaign_id, wanted.name, now.status)
        return await self.campaign(actor, campaign_id)

    async def outcomes(self, actor: Actor, campaign_id: int) -> list[Outcome]:
        """Its dispositions in order, each with how many of its calls came to it. Raises NotFound."""
        actor.require(Right.CAMPAIGNS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            await _found(conn, actor, campaign_id)
            return await store.outcomes(conn, actor.tenant_id, campaign_id)

    async def set_dispositions(
        self, actor: Actor, campaign_id: int, wanted: DispositionsIn
    ) -> list[KeptDisposition]:
        """Replace its dispositions; running campaigns too. Raises NotFound, WrongState, Conflict."""
        actor.require(Right.CAMPAIGNS_EDIT)
        tenant_id = actor.tenant_id
        async with self._database.tenant(tenant_id) as conn:
            now = await _found(conn, actor, campaign_id, lock=True)
            if now.status is Status.STOPPED:
                raise WrongState(what=now.name, state=now.status.value, allowed="draft, running or paused")
            if now.status is Status.RUNNING and not wanted.items:
                raise Conflict(reason="agents of a running campaign need a disposition to choose from")
            kept = await store.set_dispositions(
                conn, tenant_id, campaign_id, [Disposition(**item.model_dump()) for item in wanted.items]
            )
            if kept:
                raise Conflict(
                    reason=Said(
                        "talks have these dispositions, they cannot go: {codes}", codes=", ".join(kept)
                    )
                )
            codes = [item.code for item in wanted.items]
            await audit.record(conn, actor, "campaign.dispositions", _subject(campaign_id), codes=codes)
            await _tell(conn, actor, campaign_id, now.name, now.status)
            return await store.dispositions(conn, tenant_id, campaign_id)

    async def delete(self, actor: Actor, campaign_id: int) -> None:
        """Remove a draft with its leads. Raises NotFound, WrongState."""
        actor.require(Right.CAMPAIGNS_EDIT)
        async with self._database.tenant(actor.tenant_id) as conn:
            now = await _found(conn, actor, campaign_id, lock=True)
            if now.status is not Status.DRAFT:
                raise WrongState(what=now.name, state=now.status.value, allowed=Status.DRAFT.value)
            await store.remove(conn, actor.tenant_id, campaign_id)
            await audit.record(conn, actor, "campaign.delete", _subject(campaign_id), name=now.name)
            await _tell(conn, actor, campaign_id, now.name, "deleted")

    # -- pause codes ---------------------------------------------------------------------------------------

    async def pause_codes(self, actor: Actor) -> list[PauseCode]:
        """The tenant's pause codes in order."""
        if not actor.may(Right.WORK):
            actor.require(Right.AGENTS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            await store.ensure_pause_codes(conn, actor.tenant_id)
            return await store.pause_codes(conn, actor.tenant_id)

    async def set_pause_codes(self, actor: Actor, wanted: PauseCodesIn) -> list[PauseCode]:
        """Replace them."""
        actor.require(Right.AGENTS_EDIT)
        codes = [PauseCode(**item.model_dump()) for item in wanted.items]
        async with self._database.tenant(actor.tenant_id) as conn:
            await store.set_pause_codes(conn, actor.tenant_id, codes)
            await audit.record(
                conn, actor, "pause_codes.edit", "pause_codes", codes=[one.code for one in codes]
            )
        return codes

    # -- running -------------------------------------------------------------------------------------------

    async def start(self, actor: Actor, campaign_id: int) -> CampaignView:
        """Begin to dial; the view's `warnings` say why nothing is dialled yet. Raises NotFound, WrongState,
        CampaignNotReady with every reason."""
        return await self._begin(actor, campaign_id, Action.START)

    async def resume(self, actor: Actor, campaign_id: int) -> CampaignView:
        """Dial again after a pause. Raises NotFound, WrongState, CampaignNotReady with every reason."""
        return await self._begin(actor, campaign_id, Action.RESUME)

    async def pause(self, actor: Actor, campaign_id: int) -> CampaignView:
        """Place no more calls. Raises NotFound, WrongState."""
        return await self._end(actor, campaign_id, Action.PAUSE)

    async def stop(self, actor: Actor, campaign_id: int) -> CampaignView:
        """Place no more calls, for good. Raises NotFound, WrongState."""
        return await self._end(actor, campaign_id, Action.STOP)

    async def _begin(self, actor: Actor, campaign_id: int, action: Action) -> CampaignView:
        actor.require(Right.CAMPAIGNS_RUN)
        async with self._database.tenant(actor.tenant_id) as conn:
            now = await _found(conn, actor, campaign_id)
        after(now.status, action, now.name)
        made = await self._sound(actor, now)
        async with self._database.tenant(actor.tenant_id) as conn:
            now = await _found(conn, actor, campaign_id, lock=True)
            following = after(now.status, action, now.name)
            problems = await _problems(conn, actor, now)
            sound = (
                made[1] if isinstance(made, tuple) and made[0] == now.abandon_message else now.abandon_sound
            )
            if isinstance(made, Problem):
                problems.append(made)
            elif self._sounds and now.abandon_message and not sound:
                # The words were changed while their sound was made.
                raise Conflict(reason="the campaign was changed just now; try again")
            if problems:
                raise not_ready(problems)
            fields: dict[str, Any] = {"status": following, "abandon_sound": sound}
            if now.started_at is None:
                fields["started_at"] = func.now()
            await store.change(conn, actor.tenant_id, campaign_id, fields)
            await audit.record(conn, actor, f"campaign.{action.value}", _subject(campaign_id))
            await _tell(conn, actor, campaign_id, now.name, fields["status"])
        view = await self.campaign(actor, campaign_id)
        if self._outlook is None:
            return view
        return replace(view, warnings=await self._outlook.warnings(actor, campaign_id))

    async def _sound(self, actor: Actor, now: Campaign) -> tuple[str, str] | Problem | None:
        """Make the sound of the message where there is none: (words, path). Outside any transaction."""
        if self._sounds is None or not now.abandon_message or now.abandon_sound:
            return None
        try:
            path = await self._sounds.message(actor.tenant_id, now.id, now.abandon_message)
        except (PartMissing, BadSound) as error:
            return Problem("no-sound", "the sound of the message cannot be made: {reason}", {"reason": error})
        return now.abandon_message, path

    async def _end(self, actor: Actor, campaign_id: int, action: Action) -> CampaignView:
        actor.require(Right.CAMPAIGNS_RUN)
        async with self._database.tenant(actor.tenant_id) as conn:
            now = await _found(conn, actor, campaign_id, lock=True)
            fields: dict[str, Any] = {"status": after(now.status, action, now.name)}
            if fields["status"] is Status.STOPPED:
                fields["ended_at"] = func.now()
            await store.change(conn, actor.tenant_id, campaign_id, fields)
            await audit.record(conn, actor, f"campaign.{action.value}", _subject(campaign_id))
            await _tell(conn, actor, campaign_id, now.name, fields["status"])
        return await self.campaign(actor, campaign_id)

    # -- parts ---------------------------------------------------------------------------------------------

    async def _view(self, conn: AsyncConnection, actor: Actor, campaign_id: int) -> CampaignView:
        now = await _found(conn, actor, campaign_id)
        return CampaignView(
            now,
            await store.trunk_ids(conn, actor.tenant_id, campaign_id),
            await store.lead_counts(conn, actor.tenant_id, campaign_id),
            [Reason(one.code, _said(one)) for one in await _problems(conn, actor, now)],
            await policies.find(conn, actor.tenant_id, now.policy, now.policy_version) or CAREFUL,
        )


def not_ready(problems: Sequence[Problem]) -> CampaignNotReady:
    """The refusal with every reason: as one sentence and, for programs, one by one."""
    said = [_said(problem) for problem in problems]
    whole = reduce(lambda one, more: Said("{one}; {more}", one=one, more=more), said)
    return CampaignNotReady(
        reason=whole,
        reasons=[
            {"code": problem.code, "reason": text} for problem, text in zip(problems, said, strict=True)
        ],
    )


def _said(problem: Problem) -> Said:
    return Said(problem.template, **problem.values)


async def _problems(conn: AsyncConnection, actor: Actor, now: Campaign) -> list[Problem]:
    trunks = await trunk_store.trunks_of(conn, actor.tenant_id, now.id)
    dispositions = await store.dispositions(conn, actor.tenant_id, now.id)
    policy = await policies.find(conn, actor.tenant_id, now.policy, now.policy_version)
    flow = await flows.live_document(conn, actor.tenant_id, now.flow) if now.flow else None
    codes = [one.code for one in dispositions]
    return start_problems(start_settings(now, trunks, codes, flow), policy)


async def _found(conn: AsyncConnection, actor: Actor, campaign_id: int, *, lock: bool = False) -> Campaign:
    found = await store.one(conn, actor.tenant_id, campaign_id, lock=lock)
    if found is None:
        raise NotFound(what="campaign", key=campaign_id)
    return found


async def _fields(conn: AsyncConnection, actor: Actor, now: Campaign) -> dict[str, Any]:
    """The campaign as CampaignIn has it."""
    trunks = await store.trunk_ids(conn, actor.tenant_id, now.id)
    return {name: trunks if name == "trunks" else getattr(now, name) for name in CampaignIn.model_fields}


async def _check_trunks(conn: AsyncConnection, actor: Actor, ids: Sequence[int]) -> None:
    unknown = await store.unknown_trunks(conn, actor.tenant_id, ids)
    if unknown:
        raise Invalid(
            field="trunks", reason=Said("there is no trunk {ids}", ids=", ".join(map(str, sorted(unknown))))
        )


def _check_retries(retries: RetriesIn, codes: Sequence[str]) -> None:
    if not retries.dispositions.keys() <= set(codes):
        raise Invalid(field="retries", reason=Said("must be one of: {expected}", expected=", ".join(codes)))


async def _check_policy(conn: AsyncConnection, actor: Actor, wanted: CampaignIn) -> None:
    if await policies.find(conn, actor.tenant_id, wanted.policy) is None:
        known = await policies.newest(conn, actor.tenant_id)
        raise Invalid(field="policy", reason=Said("must be one of: {expected}", expected=", ".join(known)))
    if await policies.find(conn, actor.tenant_id, wanted.policy, wanted.policy_version) is None:
        raise Invalid(field="policy_version", reason="there is no such version of the policy")


async def _check_script(conn: AsyncConnection, actor: Actor, name: str | None) -> None:
    if name is None:
        return
    live = {one.name: one.live_version for one in await scripts.scripts(conn, actor.tenant_id)}
    if name not in live:
        raise Invalid(field="script", reason=told("there is no script {name}", name=name))
    if live[name] is None:
        raise Invalid(field="script", reason=told("no version of the script {name} is published", name=name))


async def _tell(conn: AsyncConnection, actor: Actor, campaign_id: int, name: str, status: str) -> None:
    payload = {"campaign_id": campaign_id, "name": name, "status": status}
    await events.emit(conn, "campaign.status", payload, tenant_id=actor.tenant_id, campaign_id=campaign_id)
    await events.wake(conn, "campaigns", tenant_id=actor.tenant_id)


def _subject(campaign_id: int) -> str:
    return f"campaign:{campaign_id}"


def _name_taken(name: str) -> Conflict:
    return Conflict(reason=Said("there is a campaign {name} already", name=name))
