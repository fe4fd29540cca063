"""Looks at Asterisk by its manager interface: log-in, rights, version, modules, dialplan."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager

from dialer.asterisk.ami import Address, AmiLink
from dialer.asterisk.binary import LEAST_VERSION
from dialer.check import needs
from dialer.check.model import Finding, Findings, count, fail, names, ok, warn
from dialer.debian.packages import version_numbers
from dialer.errors import ActionFailed, AsteriskUnavailable
from dialer.settings import Settings

LOGIN_S = 5.0
#: The line of manager.conf with the least rights that do.
WRITE = "write = system,call,originate,command,reporting"
READ = "read = system,call,user"

_MODULE = re.compile(r"^(\S+\.so)\s.*\s(Running|Not Running)\s", re.MULTILINE)
_READ = re.compile(r"^\s*read perm: *(\S*)", re.MULTILINE)


@asynccontextmanager
async def linked(settings: Settings) -> AsyncIterator[AmiLink]:
    """A log-in of our own, beside the engine's. Raises AsteriskUnavailable, UnsafeValue."""
    link = AmiLink(
        Address(settings.ami_host, settings.ami_port, settings.ami_user, settings.ami_password()),
        action_timeout_s=settings.ami_timeout_s,
        ping_s=60.0,
    )
    running = asyncio.create_task(link.run())
    try:
        await _first_end(link)
        yield link
    finally:
        await link.close()
        await asyncio.gather(running, return_exceptions=True)


async def _logged_in(settings: Settings, link: AmiLink) -> Findings:
    """As `look`. Raises AsteriskUnavailable when the link breaks, ActionFailed."""
    where = f"{settings.ami_user} at {settings.ami_host}:{settings.ami_port}"
    yield ok("log-in", where)
    allowed = frozenset((await link.send({"Action": "ListCommands"})).fields)
    yield judge_actions(allowed)
    if "CoreSettings" in allowed:
        yield judge_version((await link.send({"Action": "CoreSettings"})).get("AsteriskVersion"))
    if "Command" in allowed:
        told = _READ.search(await link.command(f"manager show user {settings.ami_user}"))
        if told:
            yield judge_classes(told[1].split(","))
        yield judge_modules(dict(_MODULE.findall(await link.command("module show"))))
    if "ShowDialPlan" in allowed:
        yield judge_dialplan(needs.dialplan(), await _dialplan(link), managed=settings.asterisk == "managed")


async def _first_end(link: AmiLink) -> None:
    """Wait for the end of the first try to log in; the link itself would try again. Raises
    AsteriskUnavailable."""
    before = link.trouble
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LOGIN_S):
            while not link.up and link.trouble == before:  # noqa: ASYNC110 - a failed try is told to nobody
                await asyncio.sleep(0.02)
    await link.wait_up(0.02)


async def _dialplan(link: AmiLink) -> dict[str, list[needs.Step]]:
    """Our contexts as Asterisk has them; those it does not have are left out."""
    found: dict[str, list[needs.Step]] = {}
    for name in needs.dialplan():
        try:
            items = await link.send_list({"Action": "ShowDialPlan", "Context": name})
        except ActionFailed:
            continue  # there is no such context
        # Asterisk tells extensions in an order of its own; each one's steps stand in theirs.
        steps = sorted((item for item in items if item.get("Priority")), key=lambda item: item["Extension"])
        found[name] = [(item["Application"], item.get("AppData")) for item in steps]
    return found


# -- judgement --------------------------------------------------------------------------------------------


def judge_no_login(settings: Settings, reason: str) -> Finding:
    """No log-in."""
    where = f"{settings.ami_host}:{settings.ami_port}"
    refused = "refused" in reason and "Login" in reason
    if settings.asterisk == "managed":
        mend = f"read {settings.data_dir / 'asterisk/log/messages.log'}"
        if refused:
            mend = f"another Asterisk may have port {settings.ami_port}: set DOZVON_AMI_PORT to a free one"
    elif refused:
        mend = (
            f"compare DOZVON_AMI_USER and DOZVON_AMI_SECRET with [{settings.ami_user}] of manager.conf, and "
            "its permit with our address"
        )
    else:
        mend = (
            "set DOZVON_AMI_HOST and DOZVON_AMI_PORT; in manager.conf enabled = yes and a bindaddr we reach"
        )
    return fail("log-in", f"{settings.ami_user} at {where}: {reason}", mend)


def judge_actions(allowed: Collection[str]) -> Finding:
    """May the server ask for all that it needs?"""
    mend = f"give the user of manager.conf: {WRITE}; then: manager reload"
    if missing := needs.ENGINE_ACTIONS - set(allowed):
        return fail("rights", f"may not: {names(missing)}", mend)
    if missing := needs.CHECK_ACTIONS - set(allowed):
        return warn("rights", f"may not: {names(missing)}; some of this check is left out", mend)
    return ok("rights", f"may: {names(needs.ENGINE_ACTIONS)}")


def judge_classes(read: Collection[str]) -> Finding:
    """Does it hear all classes of events that it needs?"""
    missing = set() if "all" in read else needs.EVENT_CLASSES - set(read)
    if missing:
        mend = f"give the user of manager.conf: {READ}; then: manager reload"
        return fail("events", f"does not hear: {names(missing)}", mend)
    return ok("events", f"hears: {names(needs.EVENT_CLASSES)}")


def judge_version(version: str) -> Finding:
    """Is it new enough?"""
    if version_numbers(version) < LEAST_VERSION:
        least = ".".join(map(str, LEAST_VERSION))
        return fail(
            "version", f"Asterisk {version}", f"the server needs Asterisk {least} or later: upgrade it"
        )
    return ok("version", f"Asterisk {version}")


def judge_modules(states: Mapping[str, str]) -> Finding:
    """Does all run that calls need? `states` are Running or Not Running by module."""
    running = {name for name, state in states.items() if state == "Running"}
    mend = "add to modules.conf, for each: load = NAME.so; then restart Asterisk"
    if missing := needs.MODULES.keys() - running:
        what = ", ".join(f"{name} ({needs.MODULES[name]})" for name in sorted(missing))
        return fail("modules", f"not loaded: {what}", mend)
    if not any(name.startswith("res_timing_") for name in running):
        return fail("modules", "no timer is loaded: nothing can be played", "load = res_timing_timerfd.so")
    if missing := needs.USEFUL_MODULES.keys() - running:
        what = ", ".join(f"{name} ({needs.USEFUL_MODULES[name]})" for name in sorted(missing))
        return warn("modules", f"not loaded: {what}", mend)
    if harmful := needs.HARMFUL_MODULES.keys() & running:
        what = ", ".join(f"{name} ({needs.HARMFUL_MODULES[name]})" for name in sorted(harmful))
        mend = "add to modules.conf, for each: noload = NAME.so; then restart Asterisk"
        return warn("modules", f"better not loaded: {what}", mend)
    wanted = len(needs.MODULES) + len(needs.USEFUL_MODULES) + 1
    return ok("modules", f"all {wanted} that are needed run, of {count(len(running), 'module')}")


def judge_dialplan(
    wanted: Mapping[str, Sequence[needs.Step]], has: Mapping[str, Sequence[needs.Step]], *, managed: bool
) -> Finding:
    """Are our contexts there, in the form of this version?"""
    mend = (
        "restart Asterisk: stop and start the server"
        if managed
        else f"copy asterisk_conf/{needs.DIALPLAN_FILE} to Asterisk, include it in extensions.conf, then: "
        "dialplan reload"
    )
    if missing := wanted.keys() - has.keys():
        return fail("dialplan", f"there is no context {names(missing)}", mend)
    if other := needs.differing(wanted, has):
        return warn("dialplan", f"of another version: {names(other)}", mend)
    return ok("dialplan", f"contexts {names(wanted)}")


async def look(settings: Settings, link: AmiLink) -> Findings:
    """All findings of a log-in that succeeded."""
    try:
        async for finding in _logged_in(settings, link):
            yield finding
    except (AsteriskUnavailable, ActionFailed) as error:
        yield fail("Asterisk", str(error), "look at Asterisk's log, then run this check again")
