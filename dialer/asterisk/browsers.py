"""People's browsers as phones of Asterisk: what their endpoints are called, and the form of their secrets.

The endpoints stand in the configuration; a secret, which lasts for one page of a browser, does not. PJSIP
looks each up in Asterisk's own database (`asterisk_conf/sorcery.conf`), and the manager interface writes
there: two hundred agents who log in at nine are two hundred such writes, and no reload.
"""

from __future__ import annotations

import json
import re
from typing import Final

#: Realm of the phones' secrets.
REALM: Final = "dozvon"
#: What the name of an endpoint of a browser begins with; the user's id follows. No name that people give
#: begins so.
PREFIX: Final = "dozvon-web-"
ENDPOINT: Final = re.compile(rf"{PREFIX}[0-9]{{1,19}}")
#: Where PJSIP looks the secrets up: the family of sorcery.conf, and the type of the objects.
FAMILY: Final = "dozvon/auth"


def endpoint_of(user_id: int) -> str:
    """The PJSIP endpoint, and SIP user, of the browser of an agent or a supervisor."""
    return f"{PREFIX}{user_id}"


def secret_of(endpoint: str, ha1: str) -> str:
    """A secret as PJSIP reads it: an `auth` object in JSON. `ha1`: MD5(endpoint:realm:password)."""
    return json.dumps({"auth_type": "md5", "username": endpoint, "realm": REALM, "md5_cred": ha1})
