"""The whole OpenAPI document, thrown back at the server by schemathesis: right requests, and wrong ones of
every part. No reply is a 5xx that the document does not name, each fits the document, each refusal is a
problem document.

As a stranger, an operator, a supervisor and an administrator of a tenant of their own, by API tokens: the
limits of the log-in stay what they are and do not make the run meaningless.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any, Final, cast

from dialer.bench.faults.hostile.block import Block
from dialer.bench.faults.hostile.floor import Floor
from dialer.bench.site import patience
from dialer.errors import PartMissing
from dialer.httpkit.access import Role

#: The stream of events never ends by itself; `requests` asks for it apart.
ENDLESS: Final = frozenset({"/api/v1/events"})
ROLES: Final[tuple[Role | None, ...]] = (None, Role.OPERATOR, Role.SUPERVISOR, Role.ADMINISTRATOR)
#: Requests of one operation in a row.
EXAMPLES: Final = 10
PROBLEM: Final = frozenset({"type", "title", "status", "detail"})


async def run(block: Block, floor: Floor) -> None:
    """A block: one role, a sample of requests over all operations."""
    since = floor.site.mark()
    role = block.dice.choice((*ROLES[1:], *ROLES))
    token = await floor.token(role) if role is not None else None
    count = block.size(250, 40)
    statuses: Counter[int] = await asyncio.to_thread(throw, block, floor.site.url, token, count)
    block.figures["http_passed"] = sum(number for status, number in statuses.items() if status < 300)
    await floor.holds(block, since)


def throw(block: Block, url: str, token: str | None, count: int) -> Counter[int]:
    """Send `count` generated requests one after another; replies by status. Raises PartMissing."""
    try:
        import requests
        import schemathesis  # noqa: F401 - said to be missing here, where there is a way to say it
        from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
    except ImportError as error:
        raise PartMissing(
            part=str(error.name), mend="install it with `pip install 'dozvon[bench]'`"
        ) from None
    statuses: Counter[int] = Counter()
    with requests.Session() as http:
        if token is not None:
            http.headers["Authorization"] = f"Bearer {token}"
        cases = _operations(http.get(f"{url}/openapi.json", timeout=patience(20)).text)

        def one(case: Any) -> None:
            statuses[_one(block, http, url, case)] += 1

        # The operations in turn over the blocks, so that none is left out by chance.
        at = block.seed * (count // EXAMPLES)
        chosen = [cases[(at + n) % len(cases)] for n in range(count // EXAMPLES)]
        for number, (operation, mode) in enumerate(chosen):
            # A function of its own each time: one that is wrapped twice would be seeded twice.
            strategy = operation.as_strategy(generation_mode=mode)
            wrapped: Callable[[], None] = cast("Any", given(strategy))(_anew(one))
            wrapped = settings(
                max_examples=EXAMPLES,
                database=None,
                deadline=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
                verbosity=Verbosity.quiet,
            )(wrapped)
            seed(block.seed * 1000 + number)(wrapped)()
    return statuses


def _anew(act: Callable[[Any], None]) -> Callable[[Any], None]:
    def throws(case: Any) -> None:
        act(case)

    return throws


@cache
def _operations(document: str) -> list[tuple[Any, Any]]:
    """Each operation with each kind of requests, right ones and wrong ones; read once a document."""
    import schemathesis

    schema = schemathesis.openapi.from_dict(json.loads(document))
    modes = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
    operations = [cast("Any", found).ok() for found in schema.get_all_operations()]
    return [(each, mode) for each in operations for mode in modes if each.path not in ENDLESS]


def _one(block: Block, http: Any, url: str, case: Any) -> int:
    """One request; harm is noted, never raised, so that the next is sent."""
    import requests
    from schemathesis.checks import not_a_server_error
    from schemathesis.core.failures import FailureGroup
    from schemathesis.specs.openapi import checks as openapi

    block.took("http_schema")
    name = f"{case.method} {case.path}"
    try:
        reply = case.call(base_url=url, session=http, timeout=patience(30))
    except (requests.RequestException, ValueError, UnicodeError) as error:
        # What no client can put on the wire is no input; a server that hangs up without a word is a harm.
        if isinstance(error, requests.ConnectionError | requests.Timeout):
            block.harm(f"{name}: {error!r}")
        return 0
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
