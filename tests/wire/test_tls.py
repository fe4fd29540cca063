"""The server's own https: its certificate, and a renewed one."""

from __future__ import annotations

import os
import shutil
import ssl
from pathlib import Path

import pytest
from aiohttp import ClientConnectorCertificateError, ClientSession, web
from support.certificates import made

from dialer.errors import SettingsError
from dialer.httpkit.application import serve
from dialer.httpkit.identity import cookie_name
from dialer.httpkit.tls import Certificate
from dialer.settings import load


async def asked(url: str, certificate: Path) -> str:
    """What the server says to who trusts this certificate alone."""
    trust = ssl.create_default_context(cafile=certificate)
    async with ClientSession() as http, http.get(url, ssl=trust) as reply:
        return await reply.text()


async def test_pages_by_https_and_a_certificate_that_is_renewed(tmp_path: Path) -> None:
    """Pages are served with the certificate of the settings; a new one in its place is used without a new
    start."""
    certificate, key = made(tmp_path / "one", "one")
    settings = load(tls_certificate=certificate, tls_key=key)
    assert cookie_name(settings).startswith("__Host-")
    held = Certificate.of(settings)
    assert held is not None

    async def hello(_request: web.Request) -> web.Response:
        return web.Response(text="здравствуйте")

    app = web.Application()
    app.router.add_get("/", hello)
    site = await serve(app, "127.0.0.1", 0, certificate=held)
    try:
        assert site.url.startswith("https://")
        assert await asked(site.url, certificate) == "здравствуйте"
        before = tmp_path / "before.pem"
        shutil.copy(certificate, before)
        for new, old in zip(made(tmp_path / "two", "two"), (certificate, key), strict=True):
            os.utime(new, (old.stat().st_mtime + 1,) * 2)
            new.replace(old)
        assert held.read() is True
        assert held.read() is False
        assert await asked(site.url, certificate) == "здравствуйте"
        with pytest.raises(ClientConnectorCertificateError):
            await asked(site.url, before)
    finally:
        await site.close()


def test_a_certificate_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    """One without its key, of another key, or alone among the settings; a bad renewal leaves the good one."""
    certificate, key = made(tmp_path / "one", "one")
    _, other = made(tmp_path / "two", "two")
    with pytest.raises(SettingsError, match="DOZVON_TLS_CERTIFICATE"):
        Certificate(certificate, other)
    with pytest.raises(SettingsError, match="no_file"):
        Certificate(tmp_path / "no_file", key)
    with pytest.raises(SettingsError, match="DOZVON_TLS_KEY"):
        load(tls_certificate=certificate)
    held = Certificate(certificate, key)
    certificate.write_text("half a")
    with pytest.raises(SettingsError, match="cannot be used"):
        held.read()
