"""Proxies before the server, with the configuration that docs/how-to/browser-phone.md gives."""

from __future__ import annotations

import asyncio
import os
import re
import ssl
import textwrap
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import pytest
from aiohttp import ClientSession, CookieJar, TCPConnector
from support.certificates import made
from support.docs import ROOT
from support.phone_way import EchoAsterisk, agent, register
from support.web import PASSWORD, Caller, whole_site
from yarl import URL

from dialer.db.session import Database
from dialer.debian.packages import PackageSet, unpack
from dialer.ports import free_port, taken
from dialer.settings import load

PAGE = ROOT / "docs/how-to/browser-phone.md"
NAME = "dialer.example.org"
NGINX = PackageSet("nginx", ("nginx-light",), "host", "install nginx by your system's own means")
CADDY = PackageSet("caddy", ("caddy",), "host", "install caddy by your system's own means")
#: What stands around the page's block in a whole configuration: folders that are the test's.
AROUND_NGINX = """
daemon off; pid {folder}/pid; error_log stderr;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
  uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
{block}
}}
"""
AROUND_CADDY = """
{{
  admin off
  auto_https disable_redirects
}}
{block}
"""
START_S = 15.0

#: Folder, own port, the server's port, certificate and key -> how it is started, and its configuration.
Proxy: TypeAlias = Callable[[Path, int, int, Path, Path], tuple[list[str], str]]


def shown(language: str) -> str:
    """The page's block in this language."""
    found = re.search(rf"^ *```{language}\n(.*?)^ *```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    return textwrap.dedent(found[1])


def nginx(folder: Path, port: int, to: int, certificate: Path, key: Path) -> tuple[list[str], str]:
    """How it is started, and its configuration, with the test's ports and certificate."""
    block = shown("nginx").replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl")
    block = block.replace(NAME, "localhost").replace("127.0.0.1:8080", f"127.0.0.1:{to}")
    block = block.replace("/etc/ssl/dialer.pem", str(certificate)).replace("/etc/ssl/dialer.key", str(key))
    start = [*unpack(NGINX, load().packages_dir).argv("usr/sbin/nginx"), "-p", str(folder)]
    return [*start, "-e", "stderr", "-c", str(folder / "conf")], AROUND_NGINX.format(
        folder=folder, block=block
    )


def caddy(folder: Path, port: int, to: int, certificate: Path, key: Path) -> tuple[list[str], str]:
    """The same of caddy."""
    block = shown("caddy").replace(f"{NAME} {{", f"https://localhost:{port} {{\ntls {certificate} {key}")
    block = block.replace("127.0.0.1:8080", f"127.0.0.1:{to}")
    start = unpack(CADDY, load().packages_dir).argv("usr/bin/caddy")
    return [*start, "run", "--adapter", "caddyfile", "--config", str(folder / "conf")], AROUND_CADDY.format(
        block=block
    )


@asynccontextmanager
async def running(argv: list[str], conf: str, folder: Path, port: int) -> AsyncIterator[None]:
    """The proxy, once it listens."""
    (folder / "conf").write_text(conf)
    log = folder / "log"
    with log.open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            *argv, stderr=said, stdout=said, env={**os.environ, "HOME": str(folder)}
        )
    try:
        async with asyncio.timeout(START_S):
            while not taken(port):
                assert process.returncode is None, log.read_text()
                await asyncio.sleep(0.05)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@pytest.mark.parametrize("proxy", [nginx, caddy])
async def test_a_proxy_before_the_server(
    proxy: Proxy, database: Database, database_url: str, asterisk: EchoAsterisk, tmp_path: Path
) -> None:
    """By https: a log-in, the browser's phone both ways, and events as they happen."""
    port = free_port()
    certificate, key = made(tmp_path / "tls", "localhost")
    url = f"https://localhost:{port}"
    settings = load(asterisk_ws_url=asterisk.url, public_url=url)
    async with whole_site(database, database_url, settings) as site:
        person, user_id = await agent(site)
        assert person.user is not None
        said = {"login": person.user.login, "password": PASSWORD}
        argv, conf = proxy(tmp_path, port, URL(site.url).port or 0, certificate, key)
        trust = ssl.create_default_context(cafile=certificate)
        async with (
            running(argv, conf, tmp_path, port),
            ClientSession(cookie_jar=CookieJar(unsafe=True), connector=TCPConnector(ssl=trust)) as http,
        ):
            caller = Caller(http, url, {"Origin": url})
            entered = await caller.call("POST", "~/session", said)
            assert entered.status == 201, entered.text
            phone = await http.ws_connect(f"{url}/phone", protocols=("sip",), headers=caller.headers)
            await phone.send_str(register(user_id))
            assert await phone.receive_str(timeout=30) == register(user_id).upper()
            await phone.close()
            async with asyncio.timeout(30), http.get(f"{url}/api/v1/events?agent=me") as events:
                assert (await events.content.readline()).strip()
