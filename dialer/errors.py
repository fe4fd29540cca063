"""Every error that Dozvon raises on purpose, on one screen.

The first line of a class's docstring *is* the message: `{names}` in it are filled from the keyword
arguments it is raised with, which stay readable as `error.details`. `id` is stable: programs and
translations depend on it, people read the message. `status` is the HTTP status of the error when it
reaches a caller over HTTP (RFC 9457).

A message says what is wrong, which field or value, and how to mend it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from dialer.said import Name, Said


class DozvonError(Exception):
    """Something went wrong inside Dozvon."""

    id: ClassVar[str] = "internal"
    status: ClassVar[int] = 500

    def __init__(self, **details: object) -> None:
        self.details = details
        super().__init__(self.template().format(**details))

    @classmethod
    def template(cls) -> str:
        """The message before its names are filled: the first paragraph of the docstring, on one line."""
        return " ".join((cls.__doc__ or "").split("\n\n", maxsplit=1)[0].split())


# -- what the caller asked for ---------------------------------------------------------------------


class BadRequest(DozvonError):
    """The request cannot be read: {reason}."""

    id, status = "bad-request", 400


class Invalid(DozvonError):
    """{field}: {reason}."""

    id, status = "invalid", 422


class NotFound(DozvonError):
    """There is no {what} {key}."""

    id, status = "not-found", 404

    def __init__(self, **details: object) -> None:
        # A name that somebody gave may be a word of ours, too: it is not translated.
        key = details.get("key")
        super().__init__(**details | ({"key": Name(key)} if isinstance(key, str) else {}))


class Merged(NotFound):
    """The contact {key} was merged into the contact {merged_into}."""

    id = "contact-merged"


class Conflict(DozvonError):
    """{reason}."""

    id, status = "conflict", 409


class InUse(DozvonError):
    """Callers are led by flows that name it: {names}. Without it they go on from `failed` there.

    Raised where a name goes that flows use; whoever means it says so (`even_if_used`).
    """

    id, status = "in-use", 409

    def __init__(self, flows: Sequence[str], **more: object) -> None:
        super().__init__(names=", ".join(flows), flows=list(flows), **more)


class PromptInUse(InUse):
    """Callers are led by flows that play it: {names}. Without it they hear nothing there."""

    id = "prompt-in-use"


class QueueInUse(InUse):
    """The queue is in use: {used}. Without it who is led there waits for agents with a skill of its name.

    `flows` and `numbers` name it, `agents` serve it, so many callers are `waiting` and so many have `kept` a
    place in it.
    """

    id = "queue-in-use"


class NotLoggedIn(DozvonError):
    """Log in, or send an API token in the Authorization header."""

    id, status = "not-logged-in", 401


class WrongPassword(NotLoggedIn):
    """The login or the password is wrong."""

    id = "wrong-password"


class Forbidden(DozvonError):
    """This needs the right {right}; the role {role} does not have it."""

    id, status = "forbidden", 403


class WrongScope(Forbidden):
    """This token may be used for {scope} only."""

    id = "wrong-scope"


class NeedsCallToken(Forbidden):
    """{field}: another number than the call's own is changed only with the call token that an earlier hook of
    the same call was answered with; each is good once.
    """

    id = "needs-call-token"


class BadCsrfToken(Forbidden):
    """The form was not sent from a page of this server, or its page is too old: reload the page."""

    id = "bad-csrf-token"


class TooManyRequests(DozvonError):
    """Too many tries; wait {seconds} s."""

    id, status = "too-many-requests", 429


class NotAccepted(DozvonError):
    """Send the body as {accepted}."""

    id, status = "not-accepted", 415


class TooLarge(DozvonError):
    """The body may have {limit} bytes at most."""

    id, status = "too-large", 413


class WrongMethod(DozvonError):
    """{method} cannot be done here; {allowed} can."""

    id, status = "wrong-method", 405


class WrongHost(DozvonError):
    """This server does not answer to the name {host}; set public_url to the address that people use."""

    id, status = "wrong-host", 421


class KeyReused(DozvonError):
    """The Idempotency-Key was used before for another request; make a new key for a new request."""

    id, status = "idempotency-key-reused", 422


class StillAtWork(DozvonError):
    """The first request with this Idempotency-Key has not ended; look whether its work is done before a new
    key."""

    id, status = "still-at-work", 409


# -- campaigns and calls ---------------------------------------------------------------------------


class CampaignNotReady(DozvonError):
    """The campaign cannot start: {reason}."""

    id, status = "campaign-not-ready", 409


class WrongState(DozvonError):
    """{what} is {state}; this can be done only when it is {allowed}."""

    id, status = "wrong-state", 409


class NumberBusy(DozvonError):
    """The number is already in a call of another attempt; try again when that call has ended."""

    id, status = "number-busy", 409


class NotAllowed(DozvonError):
    """The number may not be dialled now: {reason}."""

    id, status = "not-allowed", 409


class NotAllowedYet(NotAllowed):
    """The number may not be dialled now: {reason}. It may be from {when} by the clock there.

    `until` is that moment as programs read it, `zone` where that clock is.
    """

    id = "not-allowed-yet"


class BadNumber(DozvonError):
    """The phone number cannot be used: {reason}."""

    id, status = "bad-number", 422


class BadFlow(DozvonError):
    """The flow {source} cannot be used: {first}; problems in all: {count}.

    `problems` are values of `ivr_flows.model.Problem`; the details have them as plain values.
    """

    id, status = "bad-flow", 422

    def __init__(self, problems: Sequence[Any], source: str = "") -> None:
        self.problems = tuple(problems)
        super().__init__(
            source=Name(source) if source else "without a name",
            first=self.problems[0].said,
            count=len(self.problems),
            problems=[problem.members() for problem in self.problems],
        )


class BadScript(BadFlow):
    """The script {source} cannot be used: {first}; problems in all: {count}.

    See `BadFlow`.
    """

    id = "bad-script"


class BadSound(DozvonError):
    """The sound cannot be used: {reason}."""

    id, status = "bad-sound", 422


class UnreadableFile(DozvonError):
    """The file cannot be read: {reason}."""

    id, status = "unreadable-file", 422


class NoPhoneColumn(UnreadableFile):
    """The file has no column of phone numbers: name one "phone" or "телефон" in its first line
    (now it has: {columns}; if these are no words, choose another encoding).
    """

    id = "no-phone-column"


class RegistryShrunk(DozvonError):
    """The file has {found} of the {held} numbers of the registry, so nothing was removed; if that is right,
    bring it in again and say so."""

    id, status = "registry-shrunk", 409


class ImportInterrupted(DozvonError):
    """The import {import_id} is being run by another process."""

    id, status = "import-interrupted", 409


# -- the parts we stand on -------------------------------------------------------------------------


class SettingsError(DozvonError):
    """{setting}: {reason}."""

    id = "settings"


class DatabaseUnavailable(DozvonError):
    """The database cannot be reached: {reason}."""

    id, status = "database-unavailable", 503


class DatabaseFull(DatabaseUnavailable):
    """The database's disk is full: nothing can be written until there is room on it again."""

    id = "database-full"


class AsteriskUnavailable(DozvonError):
    """Asterisk cannot be reached: {reason}."""

    id, status = "asterisk-unavailable", 503

    @property
    def sent(self) -> bool:
        """Whether the action had been written to the socket, so that Asterisk may have acted on it."""
        return bool(self.details.get("sent", False))


class StoreUnavailable(DozvonError):
    """The store of recordings cannot be used: {reason}."""

    id, status = "store-unavailable", 503


class ActionFailed(DozvonError):
    """Asterisk refused {action}: {reason}."""

    id, status = "asterisk-action-failed", 502


class ActionTimeout(AsteriskUnavailable):
    """Asterisk gave no answer to {action} within {seconds} s."""

    id, status = "asterisk-action-timeout", 504


class UnsafeValue(DozvonError):
    """{field} holds a character that Asterisk would take for a command ({character}); remove it."""

    id, status = "unsafe-value", 422


class BadAgi(DozvonError):
    """What came is not the AGI protocol: {reason}."""

    id, status = "bad-agi", 502


class AgiHangup(DozvonError):
    """The call hung up, or its AGI session ended, before {command} was answered."""

    id, status = "agi-hangup", 409


class PartMissing(DozvonError):
    """{part} is missing; {mend}."""

    id = "part-missing"


class BackupFailed(DozvonError):
    """The backup was not made: {reason}."""

    id = "backup-failed"


class BackupDamaged(DozvonError):
    """The backup cannot be used: {reason}."""

    id = "backup-damaged"


class RestoreRefused(DozvonError):
    """Nothing was restored: {reason}."""

    id = "restore-refused"


class PhonesFailed(DozvonError):
    """The demo's phones do not work: {reason}."""

    id = "phones-failed"


class ProcessFell(DozvonError):
    """The server's process {name} does not start ({code}); {where}.

    `lines` are the end of its log, where that is a file.
    """

    id = "process-fell"

    def __init__(self, name: str, code: object, lines: str = "") -> None:
        where = (
            Said("the end of its log: {lines}", lines=Name(lines))
            if lines
            else "its last lines in the log say why"
        )
        super().__init__(name=name, code=code, where=where)
