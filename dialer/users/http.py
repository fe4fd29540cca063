"""The JSON routes of the door, of oneself, of users and of API tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from aiohttp import web
from pydantic import Field, StringConstraints

from dialer.errors import BadRequest, Conflict, Invalid, NotFound, TooManyRequests, WrongPassword
from dialer.httpkit.access import Right, Role, Scope
from dialer.httpkit.identity import address_of, clear_session_cookie, session_token, set_session_cookie
from dialer.httpkit.keys import CSRF, SETTINGS
from dialer.httpkit.paging import MAX_ID, Page, PageQuery
from dialer.httpkit.routes import PREFIX, Call, Routes
from dialer.httpkit.schema import In, Line, Out
from dialer.users.model import User
from dialer.users.service import UserService

USERS = web.AppKey("users", UserService)
routes = Routes("users")

Locale = Literal["ru", "en"]
Name = Annotated[Line, StringConstraints(min_length=1, max_length=200)]
#: A password keeps its spaces.
Password = Annotated[str, StringConstraints(strip_whitespace=False, min_length=1, max_length=1000)]


class LogIn(In):
    login: str = Field(min_length=1, max_length=200)
    password: Password


class UserOut(Out):
    id: int
    login: str
    name: str
    role: Role
    locale: Locale
    disabled_at: datetime | None
    created_at: datetime


class Me(UserOut):
    rights: list[Right] = Field(description="all that the user may do")
    csrf_token: str | None = Field(
        description="to be sent as X-CSRF-Token with everything but GET; null with an API token"
    )


class MeChange(In):
    locale: Locale | None = None
    password: Password | None = Field(None, description="a new password; needs old_password")
    old_password: Password | None = None


class Shortcuts(Out):
    """The keys of the desk."""

    keys: dict[str, str] = Field(description="action -> key, a letter by its place on a Latin keyboard")


class ShortcutsIn(In):
    """Other keys for some actions."""

    keys: dict[str, str] = Field(description="action -> key; those of other actions stay", max_length=50)


class NewUser(In):
    login: str = Field(min_length=1, max_length=200)
    name: Name
    role: Role
    locale: Locale = "ru"
    password: Password


class UserChange(In):
    name: Name | None = None
    role: Role | None = None
    locale: Locale | None = None
    password: Password | None = None
    disabled: bool | None = None


class NewToken(In):
    name: Name
    user_id: int | None = Field(
        None, ge=1, le=MAX_ID, description="whose rights it has; default: one's own; others: users_edit"
    )
    scope: Scope = Field(
        Scope.ALL, description="all: what its user may; hooks: what a dialplan asks, and nothing else"
    )


class TokenOut(Out):
    id: int
    name: str
    user_id: int
    scope: Scope
    created_at: datetime
    last_used_at: datetime | None = Field(description="to the minute")
    revoked_at: datetime | None


class TokenShown(TokenOut):
    token: str = Field(description="shown this once")


def _me(call: Call, user: User, csrf_token: str | None) -> Me:
    plain = UserOut.model_validate(user)
    return Me(**plain.model_dump(), rights=sorted(call.actor.rights), csrf_token=csrf_token)


# -- the door ------------------------------------------------------------------------------------------


class Entered(Out):
    csrf_token: str = Field(description="to be sent as X-CSRF-Token with everything but GET")


@routes.post("/session", public=True, status=201, errors=(WrongPassword, TooManyRequests))
async def log_in(call: Call, body: LogIn) -> Entered:
    """Log in: the reply sets the session's cookie."""
    users = call.app[USERS]
    session = await users.log_in(body.login, body.password, address_of(call.request))
    call.finish(lambda reply: set_session_cookie(reply, call.app[SETTINGS], session.token))
    return Entered(csrf_token=session.csrf_token)


@routes.delete("/session")
async def log_out(call: Call) -> None:
    """Log out: the session ends at once."""
    token = session_token(call.request)
    if CSRF not in call.request or token is None:
        raise BadRequest(reason="an API token has no session to end; revoke the token instead")
    await call.app[USERS].log_out(call.actor, token)
    call.finish(lambda reply: clear_session_cookie(reply, call.app[SETTINGS]))


# -- oneself -------------------------------------------------------------------------------------------


@routes.get("/me")
async def me(call: Call) -> Me:
    """Who asks, with what rights."""
    return _me(call, await call.app[USERS].me(call.actor), call.request.get(CSRF))


@routes.get("/me/shortcuts")
async def shortcuts(call: Call) -> Shortcuts:
    """The keys of one's own desk."""
    return Shortcuts(keys=await call.app[USERS].shortcuts(call.actor))


@routes.patch("/me/shortcuts", errors=(Invalid,))
async def set_shortcuts(call: Call, body: ShortcutsIn) -> Shortcuts:
    """Choose other keys for one's own desk. A key that another action has is refused."""
    return Shortcuts(keys=await call.app[USERS].set_shortcuts(call.actor, body.keys))


@routes.patch("/me", errors=(Invalid, TooManyRequests))
async def change_me(call: Call, body: MeChange) -> Me:
    """Change one's own language or password.

    A new password ends all other sessions of the user.
    """
    user = await call.app[USERS].change_me(
        call.actor,
        locale=body.locale,
        password=body.password,
        old_password=body.old_password,
        session_token=session_token(call.request) if CSRF in call.request else None,
    )
    return _me(call, user, call.request.get(CSRF))


# -- users ---------------------------------------------------------------------------------------------


@routes.get("/users", right=Right.USERS_EDIT)
async def fetch(call: Call, query: PageQuery) -> Page[UserOut]:
    """Users by name."""
    users, following = await call.app[USERS].fetch(call.actor, query.cursor, query.limit)
    return Page[UserOut](items=[UserOut.model_validate(user) for user in users], next=following)


@routes.post("/users", right=Right.USERS_EDIT, status=201, errors=(Conflict,))
async def add(call: Call, body: NewUser) -> UserOut:
    """Make a user."""
    user = await call.app[USERS].add(
        call.actor,
        login=body.login,
        name=body.name,
        role=body.role,
        locale=body.locale,
        password=body.password,
    )
    call.header("Location", f"{PREFIX}/users/{user.id}")
    return UserOut.model_validate(user)


@routes.get("/users/{user_id}", right=Right.USERS_EDIT)
async def get(call: Call, user_id: int) -> UserOut:
    """One user."""
    return UserOut.model_validate(await call.app[USERS].get(call.actor, user_id))


@routes.patch("/users/{user_id}", right=Right.USERS_EDIT, errors=(Conflict,))
async def change(call: Call, user_id: int, body: UserChange) -> UserOut:
    """Change a user.

    A new password, another role or disabling ends the user's sessions. An agent who is disabled, or gets a
    role that takes no calls, gets no more customers: the shift ends, after the present call. Users are
    disabled, never deleted: what they did stays under their name.
    """
    user = await call.app[USERS].change(
        call.actor,
        user_id,
        name=body.name,
        role=body.role,
        locale=body.locale,
        password=body.password,
        disabled=body.disabled,
    )
    return UserOut.model_validate(user)


# -- API tokens ----------------------------------------------------------------------------------------


@routes.get("/tokens", right=Right.TOKENS_EDIT)
async def fetch_tokens(call: Call, query: PageQuery) -> Page[TokenOut]:
    """One's own API tokens; everybody's with the right users_edit."""
    tokens, following = await call.app[USERS].fetch_tokens(call.actor, query.cursor, query.limit)
    return Page[TokenOut](items=[TokenOut.model_validate(token) for token in tokens], next=following)


@routes.post("/tokens", right=Right.TOKENS_EDIT, status=201, errors=(NotFound,), idempotent=False)
async def add_token(call: Call, body: NewToken) -> TokenShown:
    """Make an API token.

    The token is in this reply only, so an Idempotency-Key is not taken: the reply is not kept.
    """
    token, shown = await call.app[USERS].add_token(call.actor, body.name, body.user_id, body.scope)
    return TokenShown(**TokenOut.model_validate(token).model_dump(), token=shown)


@routes.delete("/tokens/{token_id}", right=Right.TOKENS_EDIT)
async def revoke_token(call: Call, token_id: int) -> None:
    """Revoke an API token: it is refused from now on."""
    await call.app[USERS].revoke_token(call.actor, token_id)
