"""People who log in, the passwords they may have, and the tokens that stand for them."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from dialer.errors import Invalid
from dialer.httpkit.access import Actor, Role, Scope
from dialer.said import Said

#: Length decides (NIST SP 800-63B, 3.1.1.2): no rules on kinds of characters, nothing expires.
PASSWORD_MIN = 10
#: argon2 takes the same time for any length; the body's limit would let more through than is of use.
PASSWORD_MAX = 200
LOGIN_PATTERN = r"^[a-z0-9][a-z0-9._@-]{1,63}$"
#: What an API token begins with, so that one that leaks is recognised.
TOKEN_PREFIX = "dzv_"  # noqa: S105
#: How exactly the last use of a token is known: a write for each use would cost more than it tells.
USE_NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class User:
    """A person."""

    id: int
    #: Lower case, unique over all tenants.
    login: str
    name: str
    role: Role
    locale: str
    #: Since when the person cannot log in.
    disabled_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class KnownLogin:
    """What the door knows of a login before the tenant is known."""

    actor: Actor
    #: argon2id, in PHC form.
    password_hash: str
    disabled_at: datetime | None


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A program's token without the token itself."""

    id: int
    name: str
    #: Whose rights it has.
    user_id: int
    user_name: str
    #: What of them.
    scope: Scope
    created_at: datetime
    #: To the minute.
    last_used_at: datetime | None
    revoked_at: datetime | None


def fold_login(login: str) -> str:
    """The login as it is kept: `Ivanova ` and `ivanova` are one person."""
    return login.strip().lower()


def check_login(login: str) -> str:
    """The folded login. Raises Invalid."""
    folded = fold_login(login)
    if not re.fullmatch(LOGIN_PATTERN, folded):
        raise Invalid(field="login", reason="must be 2 to 64 characters of a-z, 0-9 and . _ @ -")
    return folded


def check_password(password: str, login: str, *, field: str = "password") -> None:
    """Raises Invalid for a password that is too easy to guess."""
    if not PASSWORD_MIN <= len(password) <= PASSWORD_MAX:
        reason = Said("needs {least} to {most} characters", least=PASSWORD_MIN, most=PASSWORD_MAX)
        raise Invalid(field=field, reason=reason)
    if login in password.lower() or len(set(password)) < 5:
        raise Invalid(field=field, reason="is too easy to guess: it repeats itself or holds the login")


def new_password() -> str:
    """A random password that can be read out: 20 characters, 100 bits."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789ABC"[:32]
    groups = ("".join(secrets.choice(letters) for _ in range(5)) for _ in range(4))
    return "-".join(groups)


def new_token(prefix: str = "") -> str:
    """A random token of 256 bits."""
    return prefix + secrets.token_urlsafe(32)


def hash_token(token: str) -> str:
    """What is kept of a token. A token is random, so a fast hash without salt is enough."""
    return hashlib.sha256(token.encode()).hexdigest()
