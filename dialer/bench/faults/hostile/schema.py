"""The whole OpenAPI document, thrown back at the server by schemathesis: right requests, and wrong ones of
every part. No reply is a 5xx that the document does not name, each fits the document, each refusal is a
problem document.

Each operation as a stranger, an operator, a supervisor and an administrator of a tenant of their own, by API
tokens: the limits of the log-in stay what they are and do not make the run meaningless. A right request is
sent at rows that are there as often as at such as are not.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, TypeVar, cast
from uuid import UUID

from sqlalchemy import Column, select

from dialer.bench.faults.hostile import pages
from dialer.bench.faults.hostile.block import Block
from dialer.bench.faults.hostile.floor import TENANT, Floor
from dialer.bench.site import patience
from dialer.db import tables as t
from dialer.errors import PartMissing
from dialer.httpkit.access import Role

#: The stream of events never ends by itself; `requests` asks for it apart.
ENDLESS: Final = frozenset({"/api/v1/events"})
ROLES: Final[tuple[Role | None, ...]] = (None, Role.OPERATOR, Role.SUPERVISOR, Role.ADMINISTRATOR)
#: So many blocks meet each operation once.
TURNS: Final = 20
#: About so many operations are met in the short form.
SHORT_MEETS: Final = 24
#: Right requests, and as many wrong ones, of one operation by one role.
EXAMPLES: Final = 40
PROBLEM: Final = frozenset({"type", "title", "status", "detail"})
#: Where the rows are that a part of a path names.
ROWS: Final[Mapping[str, Column[Any]]] = {
    "agent_id": t.agent.c.id,
    "attempt_id": t.attempt.c.id,
    "campaign_id": t.campaign.c.id,
    "contact_id": t.contact.c.id,
    "import_id": t.import_job.c.id,
    "lead_id": t.lead.c.id,
    "list_id": t.contact_list.c.id,
    "token_id": t.api_token.c.id,
    "trunk_id": t.trunk.c.id,
    "user_id": t.app_user.c.id,
}

T = TypeVar("T")
_Ids = Mapping[str, Sequence[int | UUID]]


@dataclass(slots=True)
class Sender:
    """Sends what is generated, and notes what comes back."""

    block: Block
    url: str
    #: ids of rows that are there, by the name that paths give them
    ids: _Ids = field(default_factory=dict)
    token: str | None = None
    statuses: Counter[int] = field(default_factory=Counter)

    def throw(self, operation: Any, mode: Any, count: int, seed: int) -> None:
        """Send `count` generated requests of an operation, one after another. Raises PartMissing."""
        try:
            import requests
            from hypothesis import HealthCheck, Phase, Verbosity, given, settings
            from hypothesis import seed as seeded
        except ImportError as error:
            raise _missing(error) from None
        with requests.Session() as http:
            if self.token is not None:
                http.headers["Authorization"] = f"Bearer {self.token}"

            def one(case: Any) -> None:
                self._at_a_row(case)
                self.statuses[_one(self.block, http, self.url, case)] += 1

            strategy = operation.as_strategy(generation_mode=mode)
            wrapped: Callable[[], None] = cast("Any", given(strategy))(one)
            wrapped = settings(
                max_examples=count,
                database=None,
                deadline=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
                verbosity=Verbosity.quiet,
            )(wrapped)
            seeded(seed)(wrapped)()

    def _at_a_row(self, case: Any) -> None:
        """Have a right request name a row that is there, every other time."""
        for name in [*(case.path_parameters or {})]:
            if (known := self.ids.get(name)) and self.block.dice.random() < 0.5:
                case.path_parameters[name] = str(self.block.dice.choice(known))


async def run(block: Block, floor: Floor) -> None:
    """A block: some operations by each role; in the short form two dozen, by one role and once each."""
    since = floor.site.mark()
    async with pages.visiting(block, floor) as visit:
        await pages.fill(visit, floor)
        async with visit.http.get(f"{floor.site.url}/openapi.json") as reply:
            operations = _operations(await reply.text())
    sender = Sender(block, floor.site.url, await _ids(floor))
    positive, negative = _modes()
    met = met_by(block, operations)
    if block.short:
        sender.token = await floor.token(Role.ADMINISTRATOR)
    for number, operation in enumerate(met):
        if block.short:
            await asyncio.to_thread(sender.throw, operation, (positive, negative)[number % 2], 1, number)
            continue
        for role in ROLES:
            for mode in (positive, negative):
                # A new one: what was sent may have disabled its user.
                sender.token = await floor.token(role) if role is not None else None
                await asyncio.to_thread(sender.throw, operation, mode, EXAMPLES, block.seed)
    block.figures["http_operations"] = len(met)
    block.reached("http_passed", sum(n for status, n in sender.statuses.items() if 200 <= status < 300))
    block.figures["http_5xx"] = sum(n for status, n in sender.statuses.items() if status >= 500)
    await floor.holds(block, since)


def met_by(block: Block, operations: Sequence[T]) -> Sequence[T]:
    """Those of the operations that a block meets, from all over the document."""
    if block.short:
        return operations[:: max(3, len(operations) // SHORT_MEETS)]
    return operations[block.turn % TURNS :: TURNS]


async def _ids(floor: Floor) -> _Ids:
    """Rows of the hostile tenant, some of each kind."""
    async with floor.site.database.tenant(TENANT) as conn:
        return {
            name: list(await conn.scalars(select(column).order_by(column.desc()).limit(20)))
            for name, column in ROWS.items()
        }


def _missing(error: ImportError) -> PartMissing:
    return PartMissing(part=str(error.name), mend="install it with `pip install 'dozvon[bench]'`")


def _modes() -> tuple[Any, Any]:
    """Right requests, and wrong ones. Raises PartMissing."""
    try:
        from schemathesis import GenerationMode
    except ImportError as error:
        raise _missing(error) from None
    return GenerationMode.POSITIVE, GenerationMode.NEGATIVE


@cache
def _operations(document: str) -> list[Any]:
    """Each operation but the endless ones; read once a document. Raises PartMissing."""
    try:
        import schemathesis
    except ImportError as error:
        raise _missing(error) from None
    schema = schemathesis.openapi.from_dict(json.loads(document))
    operations = [cast("Any", found).ok() for found in schema.get_all_operations()]
    return [each for each in operations if each.path not in ENDLESS]


def _one(block: Block, http: Any, url: str, case: Any) -> int:
    """One request; harm is noted, never raised, so that the next is sent."""
    import requests
    from schemathesis.checks import not_a_server_error
    from schemathesis.core.failures import FailureGroup
    from schemathesis.specs.openapi import checks as openapi

    name = f"{case.method} {case.path}"
    try:
        reply = case.call(base_url=url, session=http, timeout=patience(30))
    except (requests.RequestException, ValueError, UnicodeError) as error:
        # What no client can put on the wire is no input; a server that hangs up without a word is a harm.
        if isinstance(error, requests.ConnectionError | requests.Timeout):
            block.harm(f"{name}: {error!r}")
        return 0
    block.took("http_schema")
    if reply.status_code >= 500 and str(reply.status_code) not in _named(case):
        block.harm(f"{name}: {reply.status_code} {reply.text[:200]} for {_shown(case)}")
        return int(reply.status_code)
    if reply.status_code >= 400:
        _check_problem(block, name, reply)
    checks = [
        openapi.status_code_conformance,
        openapi.content_type_conformance,
        openapi.response_headers_conformance,
        openapi.response_schema_conformance,
    ]
    if reply.status_code < 500:
        checks.append(not_a_server_error)
    try:
        case.validate_response(reply, checks=checks)
    except (FailureGroup, AssertionError) as failure:
        told = "; ".join(
            str(each).split("\n", maxsplit=1)[0] for each in getattr(failure, "exceptions", [failure])
        )
        block.harm(f"{name}: {reply.status_code} {told} {reply.text[:100]} for {_shown(case)}")
    return int(reply.status_code)


def _named(case: Any) -> set[str]:
    """The statuses that the document names for the operation."""
    return set(case.operation.definition.raw.get("responses", {}))


def _check_problem(block: Block, name: str, reply: Any) -> None:
    if case_head(reply):
        return
    try:
        found = json.loads(reply.text)
    except ValueError:
        found = None
    kind = (reply.headers.get("content-type") or [""])[0].partition(";")[0]
    if kind != "application/problem+json" or not isinstance(found, dict) or not found.keys() >= PROBLEM:
        block.harm(f"{name}: {reply.status_code} is no problem document: {kind} {reply.text[:100]}")


def case_head(reply: Any) -> bool:
    """Whether the reply is to a HEAD, which has no body."""
    return bool(reply.request.method == "HEAD")


def _shown(case: Any) -> str:
    parts = {
        "path": case.path_parameters,
        "query": case.query,
        "body": case.body,
        "headers": dict(case.headers or {}),
    }
    return repr({key: value for key, value in parts.items() if value})[:250]
