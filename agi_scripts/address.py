"""Where the server is, and the API token (of the scope `hooks`).

The environment says so in DOZVON_HOOKS_URL and DOZVON_HOOKS_TOKEN, else the file DOZVON_HOOKS_FILE (default
/etc/asterisk/dozvon_hooks.conf) in lines `url = ...` and `token = ...`; nobody but its owner may read it.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

FILE = "/etc/asterisk/dozvon_hooks.conf"


class NotSet(Exception):
    """The address or the token is missing, or others can read the file."""


def address() -> tuple[str, str]:
    """Address and token. Raises NotSet."""
    url, token = os.environ.get("DOZVON_HOOKS_URL"), os.environ.get("DOZVON_HOOKS_TOKEN")
    if url and token:
        return url, token
    path = os.environ.get("DOZVON_HOOKS_FILE", FILE)
    try:
        with Path(path).open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode) or mode & 0o077:
                raise NotSet(f"{path} must be a file of mode 0600")
            lines = [line.partition("=") for line in file.read(10_000).splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise NotSet(f"{path}: {error}") from error
    found = {name.strip(): value.strip() for name, _, value in lines if not name.lstrip().startswith("#")}
    try:
        return found["url"], found["token"]
    except KeyError as error:
        raise NotSet(f"{path} has no line {error}") from error
