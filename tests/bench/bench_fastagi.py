"""FastAGI sessions a second: our server beside panoramisk's, in one run, one process each.

    python tests/bench/bench_fastagi.py [--seconds 3] [--at-once 50]

A session is a request of 25 lines, two SET VARIABLE commands with their replies, and the close: what a
bridged call costs. Then the same after one client has connected and closed without a word.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from contextlib import suppress

from dialer.asterisk.fastagi import AgiCall, FastAgiServer

NAMES = (
    "network request channel language type version callerid calleridname callingpres callingani2 callington"
)
ENV = (
    "agi_network_script: customer\nagi_uniqueid: 1\n"
    + "".join(f"agi_{name}: some value\n" for name in NAMES.split())
    + "".join(f"agi_x{number}: unknown\n" for number in range(12))
    + "\n"
).encode()


async def serve_ours() -> int:
    """Our server; gives its port."""

    async def answer(call: AgiCall) -> None:
        await call.set_variable("DOZVON_AGENT", "3f0e")
        await call.set_variable("DOZVON_NEXT", "bridge")

    server = FastAgiServer("127.0.0.1", 0)
    server.route("customer", answer)
    await server.start()
    return int(server.address.rpartition(":")[2])


async def serve_panoramisk() -> int:
    """panoramisk's application under asyncio's stream server; gives its port."""
    from panoramisk import fast_agi

    async def answer(request: fast_agi.Request) -> None:
        await request.send_command("SET VARIABLE DOZVON_AGENT 3f0e")
        await request.send_command("SET VARIABLE DOZVON_NEXT bridge")

    application = fast_agi.Application()
    application.add_route("customer", answer)
    server = await asyncio.start_server(application.handler, "127.0.0.1", 0)
    return int(server.sockets[0].getsockname()[1])


async def serve(which: str) -> None:
    """Serve until standard input ends, after printing the port."""
    print(await (serve_ours() if which == "ours" else serve_panoramisk()), flush=True)
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(sys.stdin, ended.set)
    await ended.wait()


async def session(port: int) -> float:
    """One call; gives its seconds."""
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(ENV)
        while await reader.readline():
            writer.write(b"200 result=1\n")
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
    return time.perf_counter() - began


async def measure(port: int, seconds: float, at_once: int) -> str:
    """Sessions a second and their p50/p95, or that the server no longer answers."""
    until = time.perf_counter() + seconds
    took: list[float] = []

    async def client() -> None:
        while time.perf_counter() < until:
            took.append(await asyncio.wait_for(session(port), seconds))

    try:
        await asyncio.wait_for(asyncio.gather(*(client() for _ in range(at_once))), seconds * 2)
    except TimeoutError:
        return "no answer"
    took.sort()
    p50, p95 = (took[int(len(took) * part)] * 1000 for part in (0.5, 0.95))
    return f"{len(took) / seconds:7.0f} sessions/s   p50 {p50:6.2f} ms   p95 {p95:6.2f} ms"


async def bench(which: str, seconds: float, at_once: int) -> None:
    """Both measurements of one server."""
    server = await asyncio.create_subprocess_exec(
        sys.executable,
        __file__,
        "--serve",
        which,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert server.stdout is not None
    try:
        port = int(await server.stdout.readline())
        print(f"{which:10}  {at_once} at once     {await measure(port, seconds, at_once)}", flush=True)
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        await writer.wait_closed()
        print(f"{which:10}  after a silent   {await measure(port, seconds, at_once)}", flush=True)
    finally:
        server.kill()
        await server.wait()


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--at-once", type=int, default=50)
    parser.add_argument("--serve", choices=["ours", "panoramisk"])
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(serve(arguments.serve))
        return
    for which in ("ours", "panoramisk"):
        asyncio.run(bench(which, arguments.seconds, arguments.at_once))


if __name__ == "__main__":
    main()
