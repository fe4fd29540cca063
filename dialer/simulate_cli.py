"""The words of `dozvon simulate`; what it does is in `pacing.simulator` and `replay_command`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from dialer import settings, telemetry
from dialer.errors import Invalid


def simulate(
    context: typer.Context,
    rule: Annotated[str, typer.Option(help="`--rule list` tells them")] = "predictive",
    agents: Annotated[int, typer.Option(min=1, max=5000, help="who work")] = 10,
    answer_rate: Annotated[float, typer.Option(help="dials that a person answers, 0 to 1")] = 0.3,
    talk: Annotated[float, typer.Option(help="mean talk, s")] = 120.0,
    talk_cv: Annotated[float, typer.Option(help="its coefficient of variation")] = 1.0,
    wrap: Annotated[float, typer.Option(help="mean wrap-up, s")] = 15.0,
    ring: Annotated[float, typer.Option(help="mean ringing until the answer, s; given up after 25")] = 12.0,
    slack: Annotated[float, typer.Option(help="an agent is in time so long after the answer, s")] = 2.0,
    hours: Annotated[float, typer.Option(help="counted hours of work")] = 8.0,
    day: Annotated[float, typer.Option(help="hours worked a day; 24: no night")] = 8.0,
    warm_up: Annotated[float, typer.Option(help="minutes of work before the first counted one")] = 30.0,
    seed: Annotated[int, typer.Option(min=0, help="decides all that is random")] = 1,
    runs: Annotated[int, typer.Option(min=1, max=100_000, help="so many seeds, from that one on")] = 1,
    processes: Annotated[
        int | None, typer.Option(min=1, help="that share the runs; else one a processor")
    ] = None,
    target: Annotated[float, typer.Option(help="highest share of abandoned calls, 0 to 1")] = 0.03,
    long_run: Annotated[
        bool,
        typer.Option("--long-run", help="predictive: hold the target in the long run alone, not each day"),
    ] = False,
    drop_after: Annotated[
        float | None,
        typer.Option(help="predictive: ringing calls are taken back after so long, s; else never"),
    ] = None,
    ratio: Annotated[
        float | None, typer.Option(help="calls or lines an agent, of power, ratio, boost")
    ] = None,
    lines: Annotated[int | None, typer.Option(min=1, help="calls that the trunks carry at once")] = None,
    with_: Annotated[
        list[str] | None,
        typer.Option(
            "--with", help="NAME or NAME=VALUE: what the plain world leaves out; `--with list` tells all"
        ),
    ] = None,
    json_line: Annotated[bool, typer.Option("--json", help="one line of JSON on stdout, no table")] = False,
    replay: Annotated[
        str | None,
        typer.Option(
            help="id or exact name of a campaign: its own past instead of an assumed world; of the options"
            " above it takes --seed, --runs, --processes and --json"
        ),
    ] = None,
    first: Annotated[
        str | None,
        typer.Option("--from", help="replay: first local date; else the last 7 days with attempts"),
    ] = None,
    last: Annotated[str | None, typer.Option("--to", help="replay: last local date")] = None,
    compare: Annotated[
        list[str] | None,
        typer.Option(
            help="replay: RULE or RULE:target=0.01,drop-after=15,ratio=1.5,long-run; may be given again [what"
            " the campaign has, progressive, predictive at the policy's limit and at 1 %]"
        ),
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="replay: an SVG file for the plot")] = None,
) -> None:
    """Try a rule of pacing in a simulated contact centre: days of it in seconds, the same for each seed.

    With --replay it is your own centre: shifts, answers, ringing, talks and wrap-ups are those of the log of
    calls, around the same hour; what it cannot know (how calls taken back would have ended, how long the
    abandoned would have talked) is drawn from what it knows. The list does not end. Nothing is written.
    """
    from dialer.pacing.simulator.command import Simulate
    from dialer.pacing.simulator.command import simulate as run_simulation

    if replay is not None:
        _only(context, also=("seed", "runs", "processes", "json_line"))
        _replay(replay, first, last, compare, plot, seed, runs, processes, json_line=json_line)
        return
    for option, value in (("--from", first), ("--to", last), ("--compare", compare), ("--plot", plot)):
        if value:
            raise Invalid(field=option, reason="it is for --replay CAMPAIGN, which is not given")
    run_simulation(
        Simulate(
            rule=rule,
            agents=agents,
            answer_rate=answer_rate,
            talk_s=talk,
            talk_cv=talk_cv,
            wrap_s=wrap,
            ring_s=ring,
            slack_s=slack,
            hours=hours,
            day_h=day,
            warm_up_min=warm_up,
            seed=seed,
            runs=runs,
            processes=processes or os.cpu_count() or 1,
            target=target,
            long_run=long_run,
            drop_after_s=drop_after,
            ratio=ratio,
            lines=lines,
            with_=tuple(with_ or ()),
            json_line=json_line,
        )
    )


def _only(context: typer.Context, also: tuple[str, ...]) -> None:
    """See that no option was given that --replay does not take. Raises Invalid."""
    for param in context.command.params:
        name = str(param.name)
        source = context.get_parameter_source(name)
        taken = name in ("replay", "first", "last", "compare", "plot", *also)
        if not taken and source is not None and source.name != "DEFAULT":
            raise Invalid(
                field=param.opts[0],
                reason="--replay takes it from the log of calls, or from --compare RULE:NAME=VALUE",
            )


def _replay(
    campaign: str,
    first: str | None,
    last: str | None,
    compare: list[str] | None,
    plot: Path | None,
    seed: int,
    runs: int,
    processes: int | None,
    *,
    json_line: bool,
) -> None:
    from dialer.replay_command import Replay, day_of
    from dialer.replay_command import replay as run_replay

    telemetry.configure("warning", "console", "simulate")
    run_replay(
        settings.load(),
        Console(),
        Replay(
            campaign=campaign,
            first=day_of("--from", first),
            last=day_of("--to", last),
            compare=tuple(compare or ()),
            seed=seed,
            runs=runs,
            processes=processes or os.cpu_count() or 1,
            json_line=json_line,
            plot=plot,
        ),
    )
