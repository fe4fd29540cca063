"""The command line: `dozvon serve`, `dozvon demo`, `dozvon check` and their like.

A wrong setting or a missing part is one line on stderr that says how to mend it, and exit status 1 (2 for
wrong words of a command); a traceback is a fault of ours.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from dialer import __version__, settings, telemetry
from dialer.bench.cli import bench
from dialer.db.session import Database
from dialer.donotcall_cli import dnc
from dialer.errors import DozvonError
from dialer.flow_cli import flow
from dialer.servers_cli import node, servers
from dialer.simulate_cli import simulate
from dialer.whynot_cli import why

app = typer.Typer(
    name="dozvon",
    help="Dialer and telephony-integration server for contact centres on stock Asterisk.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(bench, name="bench")
app.add_typer(dnc, name="dnc")
app.add_typer(flow, name="flow")


def main() -> None:
    """The entry point."""
    try:
        app()
    except DozvonError as error:
        print(f"dozvon: {error}", file=sys.stderr)
        sys.exit(1)


def _run(
    work: Coroutine[Any, Any, int | None],
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> None:
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        code = runner.run(work)
    if code:
        raise typer.Exit(code)


@app.command()
def version() -> None:
    """Show the version."""
    print(__version__)


@app.command(name="settings")
def list_settings() -> None:
    """List every setting with its meaning, unit and default."""
    table = Table(title="DOZVON_... in the environment, or in the TOML file that DOZVON_CONFIG names")
    for column in ("setting", "default", "meaning"):
        table.add_column(column, overflow="fold")
    for row in _each_setting():
        table.add_row(*row)
    Console().print(table)


def _each_setting() -> Iterator[tuple[str, str, str]]:
    """Name in the environment, default and meaning of every setting."""
    for name, field in settings.Settings.model_fields.items():
        derived = field.default is None or field.default_factory
        yield f"DOZVON_{name.upper()}", "" if derived else str(field.default), field.description or ""


def _settings_help() -> str:
    """The settings as paragraphs under a command's help."""
    lines = [
        f"{name}{f' [{default}]' if default else ''}: {meaning}" for name, default, meaning in _each_setting()
    ]
    return "\n\n".join(("Settings, from the environment or the TOML file DOZVON_CONFIG, [default]:", *lines))


@app.command(epilog=_settings_help())
def serve() -> None:
    """Run the server: pages and API, engine, and, unless told otherwise, its own PostgreSQL and Asterisk."""
    from dialer import processes
    from dialer.users.service import ensure_administrator

    chosen = settings.load()
    telemetry.configure(chosen.log_level, chosen.log_format, "serve")

    async def first_log_in(database: Database) -> None:
        # Said at once: what fails later in this start must not take the password with it.
        if password := await ensure_administrator(database):
            _say(f"first log-in: user admin, password {password} (shown only now)")

    async def work() -> None:
        stop = processes.until_signal()
        async with processes.running(chosen, progress=_say, prepare=first_log_in):
            await stop.wait()
            _say("stopping")

    _run(work())


@app.command()
def demo(
    leads: Annotated[int, typer.Option(min=1, max=10_000, help="contacts on the list")] = 90,
    agents: Annotated[int, typer.Option(min=1, max=60, help="agents with softphones")] = 6,
    seconds: Annotated[int, typer.Option(min=10, help="longest time of dialling, seconds")] = 240,
    json_only: Annotated[bool, typer.Option("--json", help="nothing on stdout but the summary")] = False,
    browser: Annotated[bool, typer.Option(help="open the page in a browser")] = True,
    seed: Annotated[int, typer.Option(help="decides who answers, and how")] = 1,
    real_times: Annotated[bool, typer.Option("--real-times", help="no shortened talks and rings")] = False,
    mode: Annotated[str, typer.Option(help="progressive, predictive or power")] = "predictive",
) -> None:
    """Run a whole campaign on this machine, with a carrier, people and agents of its own."""
    from dialer.demo.run import Demo, run_demo

    _run(
        run_demo(
            Demo(
                leads=leads,
                agents=agents,
                seconds=seconds,
                json_only=json_only,
                browser=browser,
                seed=seed,
                real_times=real_times,
                mode=mode,
            )
        )
    )


app.command()(simulate)
app.command()(servers)
app.command()(why)
app.add_typer(node, name="node")


@app.command()
def check() -> None:
    """Say what is wrong with this installation, line by line, and how to mend it."""
    from dialer.check.run import run_checks

    chosen = settings.load()
    telemetry.configure("error", "console", "check")
    _run(run_checks(chosen, Console()))


@app.command(name="import")
def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV, XLSX or ODS with a header")],
    list_name: Annotated[
        str | None, typer.Option("--list", help="contact list; made if it is new [of the file's name]")
    ] = None,
    campaign: Annotated[int | None, typer.Option(help="id of the campaign to make leads for")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what it would do, and do nothing")] = False,
    column: Annotated[
        list[str] | None, typer.Option(help='what a column is: "Тел.=phone"; may be given again')
    ] = None,
    sheet: Annotated[str | None, typer.Option(help="of a workbook [the first with anything in it]")] = None,
    file_wins: Annotated[
        bool, typer.Option("--file-wins", help="values of the file replace differing ones of known people")
    ] = False,
) -> None:
    """Bring a file of contacts in; the server may be running or not."""
    from dialer.import_command import import_command, wish_of

    wish = wish_of(file, list_name, campaign, column or (), sheet, file_wins=file_wins, dry_run=dry_run)
    telemetry.configure("warning", "console", "import")
    _run(import_command(settings.load(), Console(), wish))


@app.command()
def clean(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would change")] = False,
) -> None:
    """Bring names, e-mail, VINs and plates of all contacts to one form; the server may be running or not."""
    from dialer.clean_command import clean_command

    telemetry.configure("warning", "console", "clean")
    _run(clean_command(settings.load(), Console(), dry_run=dry_run))


@app.command()
def backup(
    target: Annotated[str, typer.Argument(help="a folder of backups (there, or ending in /), or one file")],
    verify: Annotated[bool, typer.Option("--verify", help="make none: check the one that is there")] = False,
    recordings: Annotated[bool, typer.Option("--recordings/--without-recordings")] = True,
    secrets: Annotated[
        bool, typer.Option("--secrets/--without-secrets", help="the folder secrets/ and the settings file's")
    ] = True,
    keep: Annotated[int | None, typer.Option(min=1, help="of a folder: remove all but so many")] = None,
) -> None:
    """Keep a copy of this installation; the server may be running, and goes on."""
    from dialer.backup.command import backup_command, verify_command, wish_of

    telemetry.configure("warning", "console", "backup")
    if verify:
        _run(verify_command(Console(), Path(target)))
        return
    wish = wish_of(target, recordings=recordings, secrets=secrets, keep=keep)
    _run(backup_command(settings.load(), Console(), wish))


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(exists=True, help="a backup, or a folder of backups: its newest")],
    force: Annotated[bool, typer.Option("--force", help="replace what is there, which is named")] = False,
    keep_running: Annotated[
        bool, typer.Option("--keep-running", help="do not pause the campaigns that were running")
    ] = False,
) -> None:
    """Make this installation what a backup is; its server must not be running."""
    from dialer.backup.command import restore_command

    chosen = settings.load()
    telemetry.configure("warning", "console", "restore")
    _run(restore_command(chosen, Console(), source, force=force, keep_running=keep_running))


@app.command()
def upgrade(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would change")] = False,
    backup_first: Annotated[
        bool, typer.Option("--backup/--no-backup", help="keep a copy first, without recordings")
    ] = True,
    backup_to: Annotated[
        Path | None, typer.Option(help="folder of backups; default: `backups` in the data folder")
    ] = None,
) -> None:
    """Bring the database to this version, while servers of the version before run or not."""
    from dialer.backup.command import upgrade_command

    chosen = settings.load()
    telemetry.configure("warning", "console", "upgrade")
    _run(upgrade_command(chosen, Console(), dry_run=dry_run, backup=backup_first, into=backup_to))


@app.command(hidden=True)
def run(name: str) -> None:
    """One process of the server; started by `serve`."""
    import uvloop

    from dialer import processes

    processes.die_with_parent()
    chosen = settings.load()
    telemetry.configure(chosen.log_level, chosen.log_format, name)
    assert chosen.database_url is not None
    url = chosen.database_url.get_secret_value()

    async def engine() -> None:
        from dialer.app.engine import build_engine

        stop = processes.until_signal()
        working = asyncio.create_task(build_engine(chosen, url).run())
        stopping = asyncio.create_task(stop.wait())
        processes.say_ready()
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        working.cancel()
        await asyncio.wait({working})
        if not working.cancelled():
            working.result()

    async def web() -> None:
        from dialer.app.web import build_web
        from dialer.httpkit.application import serve as serve_pages
        from dialer.httpkit.tls import Certificate

        stop = processes.until_signal()
        pages, certificate = build_web(chosen, url), Certificate.of(chosen)
        site = await serve_pages(pages, chosen.http_host, chosen.http_port, certificate=certificate)
        processes.say_ready(url=site.url)
        await stop.wait()
        await site.close()

    async def jobs() -> None:
        from dialer.app.jobs import run_jobs

        stop = processes.until_signal()
        processes.say_ready()
        await run_jobs(chosen, url, stop)

    # On its loop a call costs these three about a seventh less of CPU than on asyncio's own (docs/load.md).
    _run({"engine": engine, "web": web, "jobs": jobs}[name](), uvloop.new_event_loop)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
