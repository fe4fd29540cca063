"""What can be done with the forms by which talks are scored, and with the plans by which calls are drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.session import Database
from dialer.errors import Conflict, Invalid, NotFound
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right
from dialer.reviews import forms_store as store
from dialer.reviews.model import Criterion, Form, Plan


class FormService:
    """The forms and plans of a tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def forms(self, actor: Actor) -> list[Form]:
        """All, in their present version; those in use first. Whoever works here may read them."""
        async with self._database.tenant(actor.tenant_id) as conn:
            return await store.forms(conn, actor.tenant_id)

    async def form(self, actor: Actor, form_id: int, version: int | None = None) -> Form:
        """One, in its present version or another. Raises NotFound."""
        async with self._database.tenant(actor.tenant_id) as conn:
            return await form_of(conn, actor, form_id, version)

    async def add(self, actor: Actor, name: str, criteria: Sequence[Criterion]) -> Form:
        """A new form. Raises Forbidden, Invalid, Conflict where the name is taken."""
        actor.require(Right.REVIEWS_EDIT)
        _check(criteria)
        async with self._database.tenant(actor.tenant_id) as conn:
            await _free(conn, actor, name, None)
            made = await store.add(conn, actor.tenant_id, name, criteria, actor.user_id)
            await audit.record(conn, actor, "review_form.add", f"review_form:{made}", name=name)
            return await form_of(conn, actor, made)

    async def change(
        self, actor: Actor, form_id: int, name: str, criteria: Sequence[Criterion], *, active: bool
    ) -> Form:
        """Change a form; other criteria are a new version, and scores stay with theirs.

        Raises NotFound, Forbidden, Invalid, Conflict where the name is taken.
        """
        actor.require(Right.REVIEWS_EDIT)
        _check(criteria)
        async with self._database.tenant(actor.tenant_id) as conn:
            await store.lock(conn, actor.tenant_id, form_id)
            now = await form_of(conn, actor, form_id)
            await _free(conn, actor, name, form_id)
            await store.change(conn, actor.tenant_id, now, name, criteria, actor.user_id, active=active)
            changed = await form_of(conn, actor, form_id)
            await audit.record(
                conn,
                actor,
                "review_form.change",
                f"review_form:{form_id}",
                name=name,
                version=changed.version,
                active=active,
            )
        return changed

    # -- plans -------------------------------------------------------------------------------------------

    async def plans(self, actor: Actor) -> list[Plan]:
        """All. Raises Forbidden."""
        actor.require(Right.REVIEWS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await store.plans(conn, actor.tenant_id)

    async def add_plan(
        self, actor: Actor, form_id: int, calls: int, *, campaign_id: int | None = None, least_s: int = 0
    ) -> Plan:
        """Have so many calls of each agent drawn each week. Raises NotFound, Forbidden."""
        actor.require(Right.REVIEWS_EDIT)
        async with self._database.tenant(actor.tenant_id) as conn:
            await form_of(conn, actor, form_id)
            if campaign_id is not None and not await store.has_campaign(conn, actor.tenant_id, campaign_id):
                raise NotFound(what="campaign", key=campaign_id)
            made = await store.add_plan(conn, actor.tenant_id, form_id, campaign_id, calls, least_s)
            await audit.record(
                conn, actor, "review_plan.add", f"review_plan:{made}", form=form_id, calls=calls
            )
            return await _plan(conn, actor, made)

    async def switch_plan(self, actor: Actor, plan_id: int, *, active: bool) -> Plan:
        """Draw, or draw no more. Raises NotFound, Forbidden."""
        actor.require(Right.REVIEWS_EDIT)
        async with self._database.tenant(actor.tenant_id) as conn:
            await _plan(conn, actor, plan_id)
            await store.switch_plan(conn, actor.tenant_id, plan_id, active=active)
            await audit.record(conn, actor, "review_plan.switch", f"review_plan:{plan_id}", active=active)
            return await _plan(conn, actor, plan_id)

    async def drop_plan(self, actor: Actor, plan_id: int) -> None:
        """Take a plan away with its tasks; scores stay. Raises NotFound, Forbidden."""
        actor.require(Right.REVIEWS_EDIT)
        async with self._database.tenant(actor.tenant_id) as conn:
            if not await store.drop_plan(conn, actor.tenant_id, plan_id):
                raise NotFound(what="plan", key=plan_id)
            await audit.record(conn, actor, "review_plan.delete", f"review_plan:{plan_id}")


def _check(criteria: Sequence[Criterion]) -> None:
    if not criteria:
        raise Invalid(field="criteria", reason="name one criterion at least")
    key, times = Counter(one.key for one in criteria).most_common(1)[0]
    if times > 1:
        raise Invalid(field="criteria", reason=f"{key} stands there twice")


async def _free(conn: AsyncConnection, actor: Actor, name: str, form_id: int | None) -> None:
    if await store.named(conn, actor.tenant_id, name) not in (None, form_id):
        raise Conflict(reason="a form has this name already")


async def _plan(conn: AsyncConnection, actor: Actor, plan_id: int) -> Plan:
    found = await store.plan(conn, actor.tenant_id, plan_id)
    if found is None:
        raise NotFound(what="plan", key=plan_id)
    return found


async def form_of(conn: AsyncConnection, actor: Actor, form_id: int, version: int | None = None) -> Form:
    """A form, in its present version or another. Raises NotFound."""
    found = await store.form(conn, actor.tenant_id, form_id, version)
    if found is None:
        raise NotFound(what="form", key=form_id)
    return found
