"""What can be done with policies. A version is never changed: the next one takes its place, for calls to
come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.exc import IntegrityError

from dialer.clock import utc_now
from dialer.compliance.policies import POLICIES
from dialer.compliance.policy import Policy
from dialer.db import events
from dialer.db.session import Database
from dialer.errors import Conflict, Invalid, NotFound
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right
from dialer.policies import store
from dialer.policies.fields import PolicyBody, PolicyIn, VersionIn, faults
from dialer.policies.store import Version
from dialer.said import Said


@dataclass(frozen=True, slots=True)
class PolicyView:
    """A policy with its past."""

    policy: Policy
    #: the tenant's own, which has versions to come; else it came with the server
    own: bool
    #: the newest first
    versions: Sequence[Version]
    #: campaigns that follow it: id, name, the version that they keep to (None: the newest)
    followers: Sequence[tuple[int, str, int | None]]


class PolicyService:
    """Policies that a tenant's campaigns can follow."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def policies(self, actor: Actor) -> list[Policy]:
        """All, in their newest versions: the server's, then the tenant's own."""
        actor.require(Right.CAMPAIGNS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return list((await store.newest(conn, actor.tenant_id)).values())

    async def policy(self, actor: Actor, code: str) -> PolicyView:
        """One with its past. Raises NotFound."""
        actor.require(Right.CAMPAIGNS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            versions = await store.versions(conn, actor.tenant_id, code)
            if not versions:
                raise NotFound(what="policy", key=code)
            followers = await store.followers(conn, actor.tenant_id, code)
        return PolicyView(versions[0].policy, code not in POLICIES, versions, followers)

    async def create(self, actor: Actor, wanted: PolicyIn) -> PolicyView:
        """Make a policy of one's own. Raises Conflict, Invalid."""
        actor.require(Right.COMPLIANCE_EDIT)
        await self._add(actor, wanted.policy(wanted.code, 1))
        return await self.policy(actor, wanted.code)

    async def next_version(self, actor: Actor, code: str, wanted: VersionIn) -> PolicyView:
        """Write the version after `wanted.after`; campaigns that follow the newest dial by it from now on.
        Raises NotFound, Conflict, Invalid."""
        actor.require(Right.COMPLIANCE_EDIT)
        now = (await self.policy(actor, code)).policy
        if code in POLICIES:
            raise Conflict(reason="it comes with the server; make a policy of your own from it")
        if now.version != wanted.after:
            raise Conflict(
                reason=Said("somebody has written version {version} meanwhile", version=now.version)
            )
        if PolicyBody.of(now).model_dump() == wanted.model_dump(exclude={"after"}):
            raise Conflict(reason="nothing differs from the version before")
        await self._add(actor, wanted.policy(code, now.version + 1))
        return await self.policy(actor, code)

    async def _add(self, actor: Actor, new: Policy) -> None:
        found = [{"field": name, "reason": why} for name, why in faults(new, utc_now().date())]
        if found:
            raise Invalid(field=found[0]["field"], reason=found[0]["reason"], errors=found)
        async with self._database.tenant(actor.tenant_id) as conn:
            if new.code in POLICIES:
                raise Conflict(reason=Said("there is a policy {code} already", code=new.code))
            try:
                await store.add(conn, actor.tenant_id, new, actor.user_id)
            except IntegrityError:
                raise Conflict(reason=Said("there is a policy {code} already", code=new.stamp)) from None
            await audit.record(conn, actor, "policy.version", f"policy:{new.code}", version=new.version)
            await events.wake(conn, "campaigns", tenant_id=actor.tenant_id)
