"""What can be done with users: the door (log in, log out, recognise), and their keeping."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.clock import utc_now
from dialer.db import events
from dialer.db.session import Database
from dialer.errors import Conflict, Invalid, NotFound, NotLoggedIn, WrongPassword
from dialer.httpkit import audit
from dialer.httpkit.access import ROLE_RIGHTS, Actor, Right, Role, Scope
from dialer.httpkit.identity import Identity
from dialer.httpkit.limits import TryLimit
from dialer.httpkit.paging import cut, decode
from dialer.said import Said
from dialer.users import shortcuts, store
from dialer.users.model import (
    PASSWORD_MAX,
    TOKEN_PREFIX,
    ApiToken,
    User,
    check_login,
    check_password,
    fold_login,
    hash_token,
    new_password,
    new_token,
)
from dialer.users.passwords import Passwords

log = structlog.stdlib.get_logger(__name__)

#: Tries to log in, for one login and for one address (an office's people share one).
LOGIN_TRIES, ADDRESS_TRIES, TRIES_WINDOW_S = 10, 50, 300.0
#: The first administrator's login.
FIRST_LOGIN = "admin"

#: Ends what a user does at work, in the transaction that sends the user away: connection, who does it, user.
Leaves = Callable[[AsyncConnection, Actor, int], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class NewSession:
    """A browser that has just logged in."""

    actor: Actor
    #: For the cookie; not kept anywhere.
    token: str
    csrf_token: str


class UserService:
    """Users, sessions and API tokens; also the `Identities` of the HTTP floor."""

    def __init__(
        self,
        database: Database,
        *,
        session_hours: int,
        passwords: Passwords | None = None,
        leaves: Leaves | None = None,
    ) -> None:
        self._database = database
        self._leaves = leaves
        self._lasts = timedelta(hours=session_hours)
        self._passwords = passwords or Passwords()
        self._by_login = TryLimit(LOGIN_TRIES, TRIES_WINDOW_S)
        self._by_address = TryLimit(ADDRESS_TRIES, TRIES_WINDOW_S)

    def close(self) -> None:
        """Free the hashing threads."""
        self._passwords.close()

    # -- the door --------------------------------------------------------------------------------------

    async def log_in(self, login: str, password: str, address: str) -> NewSession:
        """Begin a session. Raises WrongPassword (also for an unknown or disabled login, after the same
        time) and TooManyRequests."""
        folded = fold_login(login)
        # Counted before the hash is computed, so that tries at once are all counted.
        self._by_address.take(address)
        self._by_login.take(folded[:64])
        async with self._database.system() as conn:
            known = await store.door_login(conn, folded) if "\0" not in folded else None
        right = await self._passwords.check(
            known.password_hash if known else None, password[: PASSWORD_MAX + 1]
        )
        if known is None or not right or known.disabled_at is not None:
            log.info("log_in_refused", address=address)
            raise WrongPassword
        self._by_login.forgive(folded[:64])
        self._by_address.give_back(address)
        return await self._open(known.actor, known.password_hash, password)

    async def _open(self, actor: Actor, kept: str, password: str) -> NewSession:
        assert actor.user_id is not None
        renewed = await self._passwords.hash(password) if self._passwords.is_old(kept) else None
        session = NewSession(actor, new_token(), new_token())
        async with self._database.tenant(actor.tenant_id) as conn:
            user = await store.get(conn, actor.tenant_id, actor.user_id, lock=True)
            # Disabled, or given another password, while the old one was being checked.
            if (
                user is None
                or user.disabled_at
                or await store.password_hash(conn, actor.tenant_id, user.id) != kept
            ):
                raise WrongPassword
            if renewed is not None:
                await store.rehash(conn, actor.tenant_id, user.id, kept, renewed)
            await store.forget_sessions(conn, actor.tenant_id)
            await store.open_session(
                conn,
                actor.tenant_id,
                user.id,
                token_hash=hash_token(session.token),
                csrf_token=session.csrf_token,
                lasts=self._lasts,
            )
            await audit.record(conn, actor, "session.open", f"user:{user.id}")
        return session

    async def log_out(self, actor: Actor, token: str) -> None:
        """End the session that has this token."""
        async with self._database.tenant(actor.tenant_id) as conn:
            await store.close_session(conn, actor.tenant_id, hash_token(token))
            await audit.record(conn, actor, "session.close", f"user:{actor.user_id}")

    async def by_session(self, token: str) -> Identity | None:
        """See `Identities`."""
        async with self._database.one_question() as conn:
            return await store.door_session(conn, hash_token(token))

    async def by_api_token(self, token: str) -> Identity | None:
        """See `Identities`."""
        async with self._database.one_question() as conn:
            found = await store.door_token(conn, hash_token(token))
        if found is None:
            return None
        identity, token_id, stale = found
        if stale:
            async with self._database.tenant(identity.actor.tenant_id) as conn:
                await store.note_use(conn, identity.actor.tenant_id, token_id, utc_now())
        return identity

    # -- oneself ---------------------------------------------------------------------------------------

    async def me(self, actor: Actor) -> User:
        """The user who asks."""
        async with self._database.tenant(actor.tenant_id) as conn:
            return await _existing(conn, actor.tenant_id, _own_id(actor))

    async def change_me(
        self,
        actor: Actor,
        *,
        locale: str | None = None,
        password: str | None = None,
        old_password: str | None = None,
        session_token: str | None = None,
    ) -> User:
        """Change one's own language or password. A new password needs the old one and ends every session
        but the one with `session_token`; API tokens stay. Raises WrongPassword, Invalid, TooManyRequests."""
        user_id = _own_id(actor)
        kept, hashed = None, None
        if password is not None:
            user = await self.me(actor)
            check_password(password, user.login)
            self._by_login.take(user.login)
            async with self._database.tenant(actor.tenant_id) as conn:
                kept = await store.password_hash(conn, actor.tenant_id, user_id)
            if not await self._passwords.check(kept, (old_password or "")[: PASSWORD_MAX + 1]):
                raise Invalid(field="old_password", reason="is wrong")
            self._by_login.forgive(user.login)
            hashed = await self._passwords.hash(password)
        async with self._database.tenant(actor.tenant_id) as conn:
            user = await _existing(conn, actor.tenant_id, user_id, lock=True)
            values: dict[str, object] = {}
            if locale is not None:
                values["locale"] = locale
            if hashed is not None:
                if await store.password_hash(conn, actor.tenant_id, user_id) != kept:
                    raise Conflict(reason="the password was changed by somebody else meanwhile")
                values["password_hash"] = hashed
                await store.close_sessions(
                    conn, actor.tenant_id, user_id, but=hash_token(session_token) if session_token else None
                )
                await audit.record(conn, actor, "user.password", f"user:{user_id}")
            return await store.change(conn, actor.tenant_id, user_id, values) if values else user

    async def shortcuts(self, actor: Actor) -> dict[str, str]:
        """The keys of one's own desk, by action."""
        if actor.user_id is None:
            return shortcuts.keys_of({})
        async with self._database.tenant(actor.tenant_id) as conn:
            return shortcuts.keys_of(await store.shortcuts(conn, actor.tenant_id, actor.user_id))

    async def set_shortcuts(self, actor: Actor, keys: Mapping[str, str]) -> dict[str, str]:
        """Choose other keys for these actions; those of the others stay. Raises Invalid of an action whose
        key is none, or another's too."""
        user_id = _own_id(actor)
        async with self._database.tenant(actor.tenant_id) as conn:
            kept = shortcuts.choose(
                {**await store.shortcuts(conn, actor.tenant_id, user_id, lock=True), **keys}
            )
            await store.change(conn, actor.tenant_id, user_id, {"shortcuts": kept})
        return shortcuts.keys_of(kept)

    # -- everybody -------------------------------------------------------------------------------------

    async def add(
        self, actor: Actor, *, login: str, name: str, role: Role, locale: str, password: str
    ) -> User:
        """Make a user of the actor's tenant. Raises Forbidden, Invalid, Conflict."""
        actor.require(Right.USERS_EDIT)
        login = check_login(login)
        check_password(password, login)
        hashed = await self._passwords.hash(password)
        try:
            async with self._database.tenant(actor.tenant_id) as conn:
                user = await store.add(
                    conn,
                    actor.tenant_id,
                    login=login,
                    name=name,
                    role=role,
                    locale=locale,
                    password_hash=hashed,
                )
                await audit.record(
                    conn, actor, "user.create", f"user:{user.id}", login=login, role=role.value
                )
                await events.wake(conn, "phones", tenant_id=actor.tenant_id)  # a browser may be one
        except IntegrityError:
            raise Conflict(reason=Said("the login {login} is taken", login=login)) from None
        return user

    async def get(self, actor: Actor, user_id: int) -> User:
        """One user. Raises Forbidden, NotFound."""
        actor.require(Right.USERS_EDIT)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await _existing(conn, actor.tenant_id, user_id)

    async def fetch(self, actor: Actor, cursor: str | None, limit: int) -> tuple[list[User], str | None]:
        """Users by name, and the cursor of what follows."""
        actor.require(Right.USERS_EDIT)
        after = decode(cursor, str, int)
        async with self._database.tenant(actor.tenant_id) as conn:
            found = await store.fetch(
                conn, actor.tenant_id, after=(after[0], after[1]) if after else None, limit=limit + 1
            )
        return cut(found, limit, lambda user: (user.name, user.id))

    async def change(
        self,
        actor: Actor,
        user_id: int,
        *,
        name: str | None = None,
        role: Role | None = None,
        locale: str | None = None,
        password: str | None = None,
        disabled: bool | None = None,
    ) -> User:
        """Change a user. A new password, a disabling or another role ends the user's sessions; who is
        disabled has no API token either while it lasts. Who may work here no more gets no more calls. Raises
        Forbidden, NotFound, Invalid, and Conflict for the last administrator."""
        actor.require(Right.USERS_EDIT)
        hashed = None
        if password is not None:
            check_password(password, (await self.get(actor, user_id)).login)
            hashed = await self._passwords.hash(password)
        async with self._database.tenant(actor.tenant_id) as conn:
            administrators = await store.lock_administrators(conn, actor.tenant_id)
            user = await _existing(conn, actor.tenant_id, user_id, lock=True)
            loses = disabled is True or role not in {None, Role.ADMINISTRATOR}
            if loses and administrators == [user_id]:
                raise Conflict(reason="the last administrator must stay one")
            values: dict[str, object] = {
                column: value
                for column, value in (("name", name), ("role", role), ("locale", locale))
                if value is not None
            }
            if hashed is not None:
                values["password_hash"] = hashed
            if disabled is not None and disabled != (user.disabled_at is not None):
                values["disabled_at"] = utc_now() if disabled else None
            if not values:
                return user
            changed = await store.change(conn, actor.tenant_id, user_id, values)
            if changed.role != user.role or {"password_hash", "disabled_at"} & values.keys():
                await store.close_sessions(conn, actor.tenant_id, user_id)
                await events.wake(conn, "phones", tenant_id=actor.tenant_id)
            works = changed.disabled_at is None and Right.WORK in ROLE_RIGHTS[changed.role]
            if self._leaves is not None and not works:
                await self._leaves(conn, actor, user_id)
            await audit.record(conn, actor, "user.change", f"user:{user_id}", fields=sorted(values))
            return changed

    # -- API tokens ------------------------------------------------------------------------------------

    async def add_token(
        self, actor: Actor, name: str, user_id: int | None = None, scope: Scope = Scope.ALL
    ) -> tuple[ApiToken, str]:
        """A new token with the rights of its user, by default the actor, or with what `scope` leaves of them;
        the token itself is shown this once. Raises Forbidden, NotFound."""
        owner = _own_id(actor) if user_id is None else user_id
        actor.require(Right.TOKENS_EDIT if owner == actor.user_id else Right.USERS_EDIT)
        token = new_token(TOKEN_PREFIX)
        async with self._database.tenant(actor.tenant_id) as conn:
            await _existing(conn, actor.tenant_id, owner)
            key = new_token() if scope is Scope.HOOKS else None
            made = await store.add_token(conn, actor.tenant_id, owner, name, hash_token(token), scope, key)
            await audit.record(
                conn, actor, "token.create", f"token:{made.id}", user_id=owner, scope=scope.value
            )
        return made, token

    async def fetch_tokens(
        self, actor: Actor, cursor: str | None, limit: int
    ) -> tuple[list[ApiToken], str | None]:
        """One's own tokens; everybody's for who keeps the users."""
        actor.require(Right.TOKENS_EDIT)
        after = decode(cursor, int)
        whose = None if actor.may(Right.USERS_EDIT) else _own_id(actor)
        async with self._database.tenant(actor.tenant_id) as conn:
            seen = after[0] if after else None
            found = await store.fetch_tokens(
                conn, actor.tenant_id, user_id=whose, after=seen, limit=limit + 1
            )
        return cut(found, limit, lambda token: (token.id,))

    async def revoke_token(self, actor: Actor, token_id: int) -> None:
        """Refuse a token from now on. Raises Forbidden, NotFound (also for somebody else's)."""
        actor.require(Right.TOKENS_EDIT)
        async with self._database.tenant(actor.tenant_id) as conn:
            token = await store.get_token(conn, actor.tenant_id, token_id)
            if token is None or not (token.user_id == actor.user_id or actor.may(Right.USERS_EDIT)):
                raise NotFound(what="token", key=token_id)
            await store.revoke_token(conn, actor.tenant_id, token_id)
            await audit.record(conn, actor, "token.revoke", f"token:{token_id}")


async def ensure_administrator(database: Database, *, tenant_id: int = 1) -> str | None:
    """At the first start: make the user `admin` with a random password and return that, to be shown once.

    None when there is any user already. Two servers that start together make one.
    """
    async with database.tenant(tenant_id) as conn:
        await conn.execute(text("SELECT pg_advisory_xact_lock(hashtext('dozvon.administrator'))"))
        if await store.any_user(conn, tenant_id):
            return None
        password = new_password()
        passwords = Passwords()
        try:
            hashed = await passwords.hash(password)
        finally:
            passwords.close()
        user = await store.add(
            conn,
            tenant_id,
            login=FIRST_LOGIN,
            name="Администратор",
            role=Role.ADMINISTRATOR,
            locale="ru",
            password_hash=hashed,
        )
        server = Actor.server(tenant_id)
        await audit.record(conn, server, "user.create", f"user:{user.id}", login=FIRST_LOGIN, role=user.role)
        return password


async def _existing(conn: AsyncConnection, tenant_id: int, user_id: int, *, lock: bool = False) -> User:
    user = await store.get(conn, tenant_id, user_id, lock=lock)
    if user is None:
        raise NotFound(what="user", key=user_id)
    return user


def _own_id(actor: Actor) -> int:
    if actor.user_id is None:
        raise NotLoggedIn
    return actor.user_id
