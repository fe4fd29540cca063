"""Who may do what: rights, the roles that hold them, and the actor of a request.

A service that changes something takes `actor: Actor` first and asks `actor.require(Right...)` where the
right depends on the row; a route names the right that it always needs (see `routes`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from dialer.errors import Forbidden


class Role(StrEnum):
    """What a person is in the contact centre; `operator` is who talks with customers."""

    OPERATOR = "operator"
    QUALITY = "quality"  # who listens to talks and says how good they were
    ANALYST = "analyst"  # who reads figures, takes them out without names and numbers, and changes nothing
    SUPERVISOR = "supervisor"
    ADMINISTRATOR = "administrator"


class Right(StrEnum):
    """One thing that a role may do. `_read` is looking, `_edit` is making, changing and removing."""

    WORK = "work"  # be an agent: log a phone in, be ready, pause, save a disposition of one's own call
    CALLS_PLACE = "calls_place"  # start a preview or a manual call
    CALLS_READ = "calls_read"  # everybody's calls; an agent's own come with WORK
    CALLS_EXPORT = "calls_export"  # the call log as a file: without CALLS_READ nothing that tells of a person
    CALLS_CONTROL = "calls_control"  # hang up or dispose somebody else's call
    CAMPAIGNS_READ = "campaigns_read"
    CAMPAIGNS_EDIT = "campaigns_edit"
    CAMPAIGNS_RUN = "campaigns_run"  # start, pause, resume, stop
    CONTACTS_READ = "contacts_read"
    CONTACTS_EDIT = "contacts_edit"  # lists and imports too
    PEOPLE_ERASE = "people_erase"  # give out all that is kept of a person, and erase a person
    COMPLIANCE_EDIT = "compliance_edit"  # do-not-call entries, policies
    AGENTS_READ = "agents_read"  # the wall board: who is in which state
    AGENTS_CONTROL = "agents_control"  # pause somebody, log somebody out, listen in
    AGENTS_EDIT = "agents_edit"  # agents, skills, pause codes
    RECORDINGS_LISTEN = "recordings_listen"  # everybody's; an agent's own come with WORK
    RECORDINGS_MARK = "recordings_mark"
    RECORDINGS_HOLD = "recordings_hold"  # keep one past its term
    REVIEWS_READ = "reviews_read"  # what talks were scored; an agent's own come with WORK
    REVIEWS_SCORE = "reviews_score"
    REVIEWS_EDIT = "reviews_edit"  # forms, plans, calibrations
    REPORTS_READ = "reports_read"
    EVENTS_READ = "events_read"  # the whole event stream; without it, only the events of one's own agent
    TOKENS_EDIT = "tokens_edit"  # API tokens of one's own
    TRUNKS_READ = "trunks_read"
    TRUNKS_EDIT = "trunks_edit"
    HOSTS_EDIT = "hosts_edit"  # which servers flows may ask
    USERS_EDIT = "users_edit"  # users and everybody's API tokens
    AUDIT_READ = "audit_read"
    HOOKS_CALL = "hooks_call"  # what a dialplan asks of the server; only tokens of the scope `hooks` have it


#: Supervisors run the floor; what opens doors (users, lines, hosts) is the administrator's, and by what talks
#: are scored is quality control's.
ROLE_RIGHTS: Mapping[Role, frozenset[Right]] = {
    Role.OPERATOR: frozenset({Right.WORK, Right.CALLS_PLACE}),
    Role.QUALITY: frozenset(
        {
            Right.CALLS_READ,
            Right.CALLS_EXPORT,
            Right.CAMPAIGNS_READ,
            Right.AGENTS_READ,
            Right.RECORDINGS_LISTEN,
            Right.RECORDINGS_MARK,
            Right.REVIEWS_READ,
            Right.REVIEWS_SCORE,
            Right.REVIEWS_EDIT,
            Right.REPORTS_READ,
            Right.EVENTS_READ,
        }
    ),
    Role.ANALYST: frozenset(
        {
            Right.CALLS_EXPORT,
            Right.CAMPAIGNS_READ,
            Right.AGENTS_READ,
            Right.REVIEWS_READ,
            Right.REPORTS_READ,
            Right.EVENTS_READ,
        }
    ),
    Role.SUPERVISOR: frozenset(Right)
    - {Right.TRUNKS_EDIT, Right.HOSTS_EDIT, Right.USERS_EDIT, Right.REVIEWS_EDIT, Right.HOOKS_CALL},
    Role.ADMINISTRATOR: frozenset(Right) - {Right.HOOKS_CALL},
}


class Scope(StrEnum):
    """What an API token may be used for."""

    ALL = "all"  # whatever its user may
    HOOKS = "hooks"  # what a dialplan asks, and nothing else, whatever its user may


#: What is left of the rights of a token's user; ALL leaves them all.
SCOPE_RIGHTS: Mapping[Scope, frozenset[Right]] = {Scope.HOOKS: frozenset({Right.HOOKS_CALL})}


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks: a person, a program with a person's API token, or the server itself."""

    #: The tenant whose rows are seen.
    tenant_id: int
    #: The user; None is the server itself.
    user_id: int | None
    #: One of `Role`.
    role: Role
    #: The name shown to people and kept in the log of changes.
    name: str
    #: Language of replies: `ru` or `en`.
    locale: str
    #: What the API token is for.
    scope: Scope = Scope.ALL
    #: The API token; None: a browser's session, or the server.
    token_id: int | None = None

    @classmethod
    def server(cls, tenant_id: int) -> Actor:
        """The server acting by itself (a timer, the command line): every right, no user."""
        return cls(tenant_id, None, Role.ADMINISTRATOR, "dozvon", "ru")

    @property
    def rights(self) -> frozenset[Right]:
        """All that the actor may do."""
        return SCOPE_RIGHTS.get(self.scope, ROLE_RIGHTS[self.role])

    def may(self, right: Right) -> bool:
        """Whether the actor has the right."""
        return right in self.rights

    def require(self, right: Right) -> None:
        """Raise Forbidden unless the actor has the right."""
        if not self.may(right):
            raise Forbidden(right=right.value, role=self.role.value)
