"""Which missed callers are called back: the rule of all numbers that have none of their own."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final, Literal

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from dialer.db.session import Database
from dialer.db.tables import missed_default
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right

#: Nobody, who waited in a queue, or who left the flow too.
Rule = Literal["off", "queue", "all"]


@dataclass(frozen=True, slots=True)
class MissedDefault:
    """Whom a number calls back that says nothing of it."""

    rule: Rule
    #: after so long a wait at least, seconds
    after_s: int


#: Where nobody has said anything.
USUAL: Final = MissedDefault("off", 10)


class MissedRules:
    """The rule of a tenant. A change holds for calls that end from then on."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def rule(self, actor: Actor) -> MissedDefault:
        """That of today."""
        actor.require(Right.CAMPAIGNS_READ)
        c = missed_default.c
        async with self._database.tenant(actor.tenant_id) as conn:
            found = await conn.execute(select(c.rule, c.after_s).where(c.tenant_id == actor.tenant_id))
            row = found.one_or_none()
        return USUAL if row is None else MissedDefault(row.rule, row.after_s)

    async def write(self, actor: Actor, rule: MissedDefault) -> None:
        """Say it anew."""
        actor.require(Right.CAMPAIGNS_EDIT)
        said = asdict(rule)
        written = insert(missed_default).values(tenant_id=actor.tenant_id, **said)
        async with self._database.tenant(actor.tenant_id) as conn:
            await conn.execute(written.on_conflict_do_update(index_elements=["tenant_id"], set_=said))
            await audit.record(conn, actor, "missed_rule.write", "missed_rule", **said)
