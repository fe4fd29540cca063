"""Looks at what calls go over: trunks to carriers, agents' phones, the sounds of Asterisk itself."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dialer.agents import people
from dialer.asterisk.ami import AmiEvent, AmiLink
from dialer.asterisk.browsers import endpoint_of
from dialer.check.model import Finding, Findings, count, fail, names, note, ok, warn
from dialer.db.session import Database
from dialer.errors import ActionFailed, AsteriskUnavailable
from dialer.settings import Settings
from dialer.trunks import store as trunks
from dialer.trunks.model import Trunk

#: A carrier's answer to OPTIONS is waited for so long; Asterisk's own limit is 3 s.
QUALIFY_S = 4.0
#: Contacts of which Asterisk does not know yet whether they answer.
UNDECIDED = frozenset({"Unknown", "NonQualified", "Created"})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A PJSIP endpoint as Asterisk knows it."""

    #: Codecs allowed, the best first.
    codecs: tuple[str, ...]
    #: Reachable, Unreachable, NonQualified, ... of each contact.
    contacts: tuple[str, ...]
    #: The quickest answer, milliseconds; None where there was none.
    answer_ms: float | None
    #: Seconds between two questions whether it answers; 0: it is never asked.
    qualify_s: int


async def look(settings: Settings, database: Database | None, link: AmiLink) -> Findings:
    """All findings of lines. `database`: None where it cannot be read."""
    if settings.asterisk == "managed":
        yield judge_languages(settings.data_dir / "asterisk/data/sounds")
    if database is None:
        return
    our_trunks: list[Trunk] = []
    phones: list[str] = []
    browsers: list[str] = []
    for tenant_id in await database.tenants():
        async with database.tenant(tenant_id) as conn:
            our_trunks += [trunk for trunk in await trunks.trunks(conn, tenant_id) if trunk.enabled]
            phones += [agent.endpoint for agent in await people.agents(conn, tenant_id) if agent.enabled]
            browsers += map(endpoint_of, await people.at_browsers(conn, tenant_id))
    managed = settings.asterisk == "managed"
    try:
        if not our_trunks:
            yield note(
                "trunks", "there are none: nothing can be dialled", "add one on the page Trunks or by the API"
            )
        for trunk in our_trunks:
            yield judge_trunk(trunk, await _asked(link, trunk.endpoint), managed=managed)
        known = await _states(link) if phones or browsers else {}
        yield judge_phones(phones, known, managed=managed)
        if browsers and not managed:
            yield judge_browsers(browsers, known)
    except (AsteriskUnavailable, ActionFailed) as error:
        yield fail("lines", str(error), "mend what stands above, then run this check again")


# -- what Asterisk says -----------------------------------------------------------------------------------


async def _asked(link: AmiLink, endpoint: str) -> Endpoint | None:
    """The endpoint, after its contacts were asked whether they answer; None where there is none."""
    found = await _endpoint(link, endpoint)
    if found is None or not UNDECIDED & set(found.contacts):
        return found
    # After a start Asterisk asks at a moment of its own within the interval: it is told to ask now.
    await link.send({"Action": "PJSIPQualify", "Endpoint": endpoint})
    deadline = asyncio.get_running_loop().time() + QUALIFY_S
    while (left_s := deadline - asyncio.get_running_loop().time()) > 0:
        if not await _contact_news(link, endpoint, left_s):
            break
        found = await _endpoint(link, endpoint)
        if found is None or not UNDECIDED & set(found.contacts):
            return found
    return await _endpoint(link, endpoint)


async def _contact_news(link: AmiLink, endpoint: str, within_s: float) -> bool:
    """Wait for an event that tells of a contact of this endpoint."""
    try:
        async with asyncio.timeout(within_s):
            while True:
                event = await link.inbox.get()
                if not isinstance(event, AmiEvent) or event.name != "ContactStatus":
                    continue
                if event.get("EndpointName") == endpoint:
                    return True
    except TimeoutError:
        return False


async def _endpoint(link: AmiLink, name: str) -> Endpoint | None:
    try:
        items = await link.send_list({"Action": "PJSIPShowEndpoint", "Endpoint": name})
    except ActionFailed:
        return None
    detail = {item.name: item for item in items}
    contacts = [item for item in items if item.name == "ContactStatusDetail"]
    answers = [
        int(item.get("RoundtripUsec")) / 1000 for item in contacts if item.get("RoundtripUsec").isdecimal()
    ]
    aor = detail.get("AorDetail")
    return Endpoint(
        codecs=tuple(detail["EndpointDetail"].get("Allow").strip("()").split("|")),
        contacts=tuple(item.get("Status") for item in contacts),
        answer_ms=min(answers) if answers else None,
        qualify_s=int(aor.get("QualifyFrequency", "0")) if aor else 0,
    )


async def _states(link: AmiLink) -> dict[str, bool]:
    """Endpoints by name, and whether each has a contact: a phone that has registered."""
    items = await link.send_list({"Action": "PJSIPShowEndpoints"})
    return {item["ObjectName"]: bool(item.get("Contacts").strip(", ")) for item in items}


# -- judgement --------------------------------------------------------------------------------------------


def judge_trunk(trunk: Trunk, endpoint: Endpoint | None, *, managed: bool) -> Finding:
    """Can calls go out over it?"""
    name = "trunk"
    if endpoint is None:
        return fail(
            name,
            f"{trunk.name}: Asterisk has no endpoint {trunk.endpoint}",
            "start the server, it makes the endpoint"
            if managed and trunk.sip_host
            else "make the endpoint in pjsip.conf (asterisk_conf/external/pjsip_dozvon.conf shows how), or "
            "correct its name on the page of the trunk",
        )
    about = f"{trunk.name} ({trunk.endpoint})"
    if not endpoint.contacts:
        return fail(
            name, f"{about}: has no address", f"give the aor of {trunk.endpoint} a contact = sip:HOST:PORT"
        )
    reachable = [status for status in endpoint.contacts if status == "Reachable"]
    if not reachable and "Unreachable" in endpoint.contacts:
        return fail(
            name,
            f"{about}: the carrier does not answer",
            "look at the carrier's address, its list of our addresses, and the firewall (UDP, both ways)",
        )
    if lacking := [codec for codec in trunk.codecs if codec not in endpoint.codecs]:
        return fail(
            name,
            f"{about}: offers {', '.join(endpoint.codecs)}, not {', '.join(lacking)}",
            f"write allow = {','.join(trunk.codecs)} into endpoint {trunk.endpoint}, or choose other codecs "
            "on the trunk's page",
        )
    if not reachable:
        return warn(
            name,
            f"{about}: nobody knows whether the carrier answers",
            f"give the aor of {trunk.endpoint} qualify_frequency = 30, so that a dead trunk is seen",
        )
    answer = f" in {endpoint.answer_ms:.0f} ms" if endpoint.answer_ms is not None else ""
    said = f"{about}: the carrier answers{answer}, codecs {', '.join(endpoint.codecs)}"
    if not endpoint.qualify_s:
        return warn(
            name,
            f"{said}; it is not asked again",
            f"give the aor of {trunk.endpoint} qualify_frequency = 30, so that a dead trunk is seen",
        )
    return ok(name, said)


def judge_browsers(wanted: Collection[str], known: Mapping[str, bool]) -> Finding:
    """Whether an Asterisk of one's own has the endpoints of people's browsers."""
    missing = [endpoint for endpoint in wanted if endpoint not in known]
    if not missing:
        return ok("browsers", f"{count(len(wanted), 'endpoint')} of people's browsers")
    return note(
        "browsers",
        f"Asterisk has no endpoint {names(missing)}: these browsers cannot be phones",
        "write what `dozvon node browsers` prints into a file that pjsip.conf includes, and reload it",
    )


def judge_phones(phones: Sequence[str], known: Mapping[str, bool], *, managed: bool) -> Finding:
    """Does Asterisk know the agents' phones, and which have registered?"""
    if not phones:
        return note("agents", "there are none", "add users and agents on the page Users or by the API")
    if missing := set(phones) - known.keys():
        return fail(
            "agents",
            f"Asterisk has no endpoint {names(missing)}",
            "start the server, it makes the endpoints"
            if managed
            else "make them in pjsip.conf (asterisk_conf/external/pjsip_dozvon.conf shows how)",
        )
    away = {name for name in phones if not known[name]}
    said = f"{count(len(phones), 'phone')}, {len(phones) - len(away)} registered"
    return note("agents", f"{said}; not: {names(away)}") if away else ok("agents", said)


def judge_languages(folder: Path) -> Finding:
    """Are the sounds of Asterisk's own there, in both languages?"""
    missing = languages_missing(folder)
    if missing:
        return warn(
            "sounds",
            f"Asterisk's own sounds are missing in: {names(missing)}",
            "install the packages asterisk-core-sounds-en-wav and asterisk-core-sounds-ru-wav",
        )
    return ok("sounds", "Asterisk's own, in English and Russian")


def languages_missing(folder: Path) -> Collection[str]:
    """Languages that have no sounds in the folder."""
    return {name for name in ("en", "ru") if not any((folder / name).glob("*.*"))}
