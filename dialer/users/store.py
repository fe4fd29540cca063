"""The SQL of users, sessions and API tokens. `door_...` need no tenant, everything else is within one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, func, insert, or_, select, text, update
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.prepared import Prepared
from dialer.db.tables import api_token, app_user, user_session
from dialer.httpkit.access import Actor, Role, Scope
from dialer.httpkit.identity import Identity
from dialer.users.model import USE_NOTED_EVERY, ApiToken, KnownLogin, User

_USER = (
    app_user.c.id,
    app_user.c.login,
    app_user.c.name,
    app_user.c.role,
    app_user.c.locale,
    app_user.c.disabled_at,
    app_user.c.created_at,
)
_TOKEN = (
    api_token.c.id,
    api_token.c.name,
    api_token.c.user_id,
    select(app_user.c.name)
    .where(app_user.c.tenant_id == api_token.c.tenant_id, app_user.c.id == api_token.c.user_id)
    .scalar_subquery()
    .label("user_name"),
    api_token.c.scope,
    api_token.c.created_at,
    api_token.c.last_used_at,
    api_token.c.revoked_at,
)


_Row = Row[*tuple[Any, ...]]


def _user(row: _Row) -> User:
    return User(row.id, row.login, row.name, Role(row.role), row.locale, row.disabled_at, row.created_at)


def _actor(row: _Row) -> Actor:
    return Actor(row.tenant_id, row.user_id, Role(row.role), row.name, row.locale)


def _one(tenant_id: int, user_id: int) -> tuple[ColumnElement[bool], ...]:
    return app_user.c.tenant_id == tenant_id, app_user.c.id == user_id


def _one_token(tenant_id: int, token_id: int) -> tuple[ColumnElement[bool], ...]:
    return api_token.c.tenant_id == tenant_id, api_token.c.id == token_id


async def shortcuts(
    conn: AsyncConnection, tenant_id: int, user_id: int, *, lock: bool = False
) -> dict[str, str]:
    """The keys that the user has chosen, by action."""
    query = select(app_user.c.shortcuts).where(*_one(tenant_id, user_id))
    found: dict[str, str] | None = await conn.scalar(query.with_for_update() if lock else query)
    return found or {}


# -- the door: before the tenant is known ------------------------------------------------------------


async def door_login(conn: AsyncConnection, login: str) -> KnownLogin | None:
    """Who has this login, in any tenant."""
    found = await conn.execute(text("SELECT * FROM find_login(:login)"), {"login": login})
    row = found.one_or_none()
    return KnownLogin(_actor(row), row.password_hash, row.disabled_at) if row else None


_OF_SESSION = Prepared("SELECT * FROM find_session(:token) WHERE expires_at > now() AND disabled_at IS NULL")
_OF_TOKEN = Prepared(
    """
    SELECT *, last_used_at IS NULL OR last_used_at < now() - CAST(:every AS interval) AS stale
      FROM find_token(:token) WHERE revoked_at IS NULL AND disabled_at IS NULL
    """
)


async def door_session(conn: AsyncConnection, token_hash: str) -> Identity | None:
    """Whose session this is, while it lasts and the person may log in."""
    row = await _OF_SESSION.row(conn, token=token_hash)
    return Identity(_actor(row), row.csrf_token) if row else None


async def door_token(conn: AsyncConnection, token_hash: str) -> tuple[Identity, int, bool] | None:
    """Whose API token this is, its id, and whether its use is worth noting; None for a revoked one."""
    row = await _OF_TOKEN.row(conn, token=token_hash, every=USE_NOTED_EVERY)
    if row is None:
        return None
    actor = replace(_actor(row), scope=Scope(row.scope), token_id=row.token_id)
    return Identity(actor, None), row.token_id, row.stale


# -- users ---------------------------------------------------------------------------------------------


async def add(
    conn: AsyncConnection,
    tenant_id: int,
    *,
    login: str,
    name: str,
    role: Role,
    locale: str,
    password_hash: str,
) -> User:
    """Make a user. Raises IntegrityError where the login exists, in whichever tenant."""
    values = {
        "tenant_id": tenant_id,
        "login": login,
        "name": name,
        "role": role.value,
        "locale": locale,
        "password_hash": password_hash,
    }
    return _user((await conn.execute(insert(app_user).values(values).returning(*_USER))).one())


async def get(conn: AsyncConnection, tenant_id: int, user_id: int, *, lock: bool = False) -> User | None:
    """A user; `lock` holds the row until the end of the transaction."""
    query = select(*_USER).where(*_one(tenant_id, user_id))
    row = (await conn.execute(query.with_for_update() if lock else query)).one_or_none()
    return _user(row) if row else None


async def password_hash(conn: AsyncConnection, tenant_id: int, user_id: int) -> str | None:
    """The kept hash."""
    return await conn.scalar(select(app_user.c.password_hash).where(*_one(tenant_id, user_id)))


async def fetch(
    conn: AsyncConnection, tenant_id: int, *, after: tuple[str, int] | None, limit: int
) -> list[User]:
    """Users in the order of (name, id)."""
    query = select(*_USER).where(app_user.c.tenant_id == tenant_id)
    query = query.order_by(app_user.c.name, app_user.c.id).limit(limit)
    if after is not None:
        name, user_id = after
        query = query.where(
            or_(app_user.c.name > name, (app_user.c.name == name) & (app_user.c.id > user_id))
        )
    return [_user(row) for row in await conn.execute(query)]


async def change(conn: AsyncConnection, tenant_id: int, user_id: int, values: Mapping[str, object]) -> User:
    """Set columns of a user that exists."""
    query = update(app_user).where(*_one(tenant_id, user_id)).values(dict(values)).returning(*_USER)
    return _user((await conn.execute(query)).one())


async def rehash(conn: AsyncConnection, tenant_id: int, user_id: int, old: str, new: str) -> None:
    """Keep the same password under newer parameters, unless it was changed meanwhile."""
    await conn.execute(
        update(app_user)
        .where(*_one(tenant_id, user_id), app_user.c.password_hash == old)
        .values(password_hash=new)
    )


async def lock_administrators(conn: AsyncConnection, tenant_id: int) -> list[int]:
    """Ids of the administrators who can log in, their rows locked: two of them cannot remove each other."""
    query = (
        select(app_user.c.id)
        .where(
            app_user.c.tenant_id == tenant_id,
            app_user.c.role == Role.ADMINISTRATOR.value,
            app_user.c.disabled_at.is_(None),
        )
        .order_by(app_user.c.id)
        .with_for_update()
    )
    return list(await conn.scalars(query))


async def any_user(conn: AsyncConnection, tenant_id: int) -> bool:
    """Whether the tenant has a user at all."""
    return bool(await conn.scalar(select(exists().where(app_user.c.tenant_id == tenant_id))))


# -- sessions ------------------------------------------------------------------------------------------


async def open_session(
    conn: AsyncConnection,
    tenant_id: int,
    user_id: int,
    *,
    token_hash: str,
    csrf_token: str,
    lasts: timedelta,
) -> None:
    """Begin a session."""
    await conn.execute(
        insert(user_session).values(
            tenant_id=tenant_id,
            user_id=user_id,
            token_hash=token_hash,
            csrf_token=csrf_token,
            expires_at=func.now() + lasts,
        )
    )


async def close_session(conn: AsyncConnection, tenant_id: int, token_hash: str) -> None:
    """End one session."""
    await conn.execute(
        delete(user_session).where(
            user_session.c.tenant_id == tenant_id, user_session.c.token_hash == token_hash
        )
    )


async def close_sessions(
    conn: AsyncConnection, tenant_id: int, user_id: int, *, but: str | None = None
) -> None:
    """End all sessions of a user, except the one with the token hash `but`."""
    query = delete(user_session).where(
        user_session.c.tenant_id == tenant_id, user_session.c.user_id == user_id
    )
    await conn.execute(query if but is None else query.where(user_session.c.token_hash != but))


async def forget_sessions(conn: AsyncConnection, tenant_id: int) -> None:
    """Drop the tenant's sessions that are over."""
    await conn.execute(
        delete(user_session).where(
            user_session.c.tenant_id == tenant_id, user_session.c.expires_at < func.now()
        )
    )


# -- API tokens ----------------------------------------------------------------------------------------


def _token(row: _Row) -> ApiToken:
    return ApiToken(
        row.id,
        row.name,
        row.user_id,
        row.user_name,
        Scope(row.scope),
        row.created_at,
        row.last_used_at,
        row.revoked_at,
    )


async def add_token(
    conn: AsyncConnection,
    tenant_id: int,
    user_id: int,
    name: str,
    token_hash: str,
    scope: Scope = Scope.ALL,
    call_key: str | None = None,
) -> ApiToken:
    """Keep a new token."""
    values = {
        "tenant_id": tenant_id,
        "user_id": user_id,
        "name": name,
        "token_hash": token_hash,
        "scope": scope.value,
        "call_key": call_key,
    }
    made: int = (await conn.execute(insert(api_token).values(values).returning(api_token.c.id))).scalar_one()
    return _token((await conn.execute(select(*_TOKEN).where(*_one_token(tenant_id, made)))).one())


async def get_token(conn: AsyncConnection, tenant_id: int, token_id: int) -> ApiToken | None:
    """A token."""
    row = (await conn.execute(select(*_TOKEN).where(*_one_token(tenant_id, token_id)))).one_or_none()
    return _token(row) if row else None


async def fetch_tokens(
    conn: AsyncConnection, tenant_id: int, *, user_id: int | None, after: int | None, limit: int
) -> list[ApiToken]:
    """Tokens by id; of one user, or of all (None)."""
    query = select(*_TOKEN).where(api_token.c.tenant_id == tenant_id).order_by(api_token.c.id).limit(limit)
    if user_id is not None:
        query = query.where(api_token.c.user_id == user_id)
    if after is not None:
        query = query.where(api_token.c.id > after)
    return [_token(row) for row in await conn.execute(query)]


async def revoke_token(conn: AsyncConnection, tenant_id: int, token_id: int) -> None:
    """The token is refused from now on; when it was first revoked stays."""
    await conn.execute(
        update(api_token)
        .where(*_one_token(tenant_id, token_id), api_token.c.revoked_at.is_(None))
        .values(revoked_at=func.now())
    )


async def note_use(conn: AsyncConnection, tenant_id: int, token_id: int, at: datetime) -> None:
    """The token was used."""
    await conn.execute(update(api_token).where(*_one_token(tenant_id, token_id)).values(last_used_at=at))
