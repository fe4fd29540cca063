"""`dozvon flow`: flows at the command line. It reads files and the terminal; the rules are `ivr_flows`."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.markup import escape

from dialer.clock import utc_now
from dialer.errors import BadFlow, Invalid, NotFound, UnreadableFile
from dialer.httpkit.i18n import said, terminal_locale, told_in, translator
from ivr_flows import checks, drawing, interpreter, layout, loader, shipped, yamlfile
from ivr_flows.model import (
    LANGUAGES,
    Action,
    Ask,
    Began,
    Came,
    Ended,
    Event,
    Flow,
    GoTo,
    HangUp,
    HungUp,
    Nothing,
    OfferAnswer,
    Played,
    Position,
    Say,
    Value,
    Verb,
)  # fmt: skip
from ivr_flows.naming import Named
from ivr_flows.rehearsal import MOST_ACTIONS, event_of, heard, members, outcomes, pairs

SOUNDS: Final = (".wav", ".gsm", ".g722", ".ulaw", ".alaw", ".sln", ".sln16", ".mp3", ".ogg", ".flac")


def read_text(file: str) -> tuple[str, str]:
    """The text of a file, or of a flow that comes along, and how it is called. Raises UnreadableFile."""
    path = Path(file)
    name, _, language = file.rpartition(".")
    if not path.exists() and name in shipped.NAMES and language in LANGUAGES:
        return shipped.text(name, language), file
    try:
        # One more than is taken: what is too large is said by the reader, with its limit.
        with path.open("rb") as opened:
            raw = opened.read(yamlfile.MOST_BYTES + 1)
        return raw.decode("utf-8-sig"), file
    except OSError as error:
        known = ", ".join(f"{one}.{language}" for one in shipped.NAMES for language in LANGUAGES)
        raise UnreadableFile(reason=f"{file}: {error.strerror}; flows that come along: {known}") from error
    except UnicodeDecodeError as error:
        raise UnreadableFile(reason=f"{file} is not UTF-8: save it so") from error


# -- check ---------------------------------------------------------------------------------------------------


def check_command(
    console: Console,
    file: str,
    prompts: Path | None,
    flows: Path | None,
    hosts: list[str] | None,
    *,
    json_line: bool,
) -> int:
    """Say all that is wrong; 1 where something is. Raises UnreadableFile."""
    text, source = read_text(file)
    flow: Flow | None = None
    try:
        flow = loader.load(text, source=source, checked=False)
        known: dict[Named, Collection[str]] = {}
        if prompts is not None:
            known[Named.SOUND] = set(_sounds(prompts))
        if flows is not None:
            known[Named.FLOW] = set(_flows(flows))
        if hosts is not None:
            known[Named.HOST] = hosts
        problems = checks.problems(flow, known)
    except BadFlow as error:
        problems = error.problems
    locale = terminal_locale()
    if json_line:
        states = len(flow.states) if flow else 0
        found = [told_in(problem.members(), locale) for problem in problems]
        console.out(json.dumps({"file": source, "states": states, "problems": found}), highlight=False)
        return int(bool(problems))
    for problem in problems:
        console.print(f"[red]{escape(source)}:{problem.line}[/red]: {escape(problem.path)}: ", end="")
        text = escape(str(said(problem.text, locale)))
        console.print(f"{text} [dim]({problem.code})[/dim]", highlight=False, soft_wrap=True)
    if flow is not None and not problems:
        words = translator(locale).ngettext(
            "%(num)s state, nothing is wrong.", "%(num)s states, nothing is wrong.", len(flow.states)
        )
        console.print(f"{escape(source)}: {words % {'num': len(flow.states)}}", highlight=False)
    return int(bool(problems))


def _sounds(folder: Path) -> Iterator[str]:
    """Names of recordings, as flows write them."""
    for path in folder.rglob("*"):
        if path.suffix in SOUNDS:
            yield path.relative_to(folder).with_suffix("").as_posix()


def _flows(folder: Path) -> Iterator[str]:
    """Names of the flows of a folder that can be read."""
    for path in sorted((*folder.glob("*.yaml"), *folder.glob("*.yml"), *folder.glob("*.json"))):
        text, source = read_text(str(path))
        try:
            yield loader.load(text, source=source, checked=False).name
        except BadFlow:
            continue  # it is not the one that is checked


# -- show ----------------------------------------------------------------------------------------------------


def show_command(console: Console, file: str, svg: Path | None, *, json_line: bool) -> int:
    """Draw a flow. Raises UnreadableFile, BadFlow for one that cannot be read, OSError."""
    text, source = read_text(file)
    flow = loader.load(text, source=source, checked=False)
    if svg is not None:
        svg.write_text(drawing.svg(flow), encoding="utf-8")
        if not json_line:
            console.print(f"{svg}: {len(flow.states)} states", highlight=False)
    if json_line:
        states = [
            {"name": state.name, "type": state.verb, "title": state.title} for state in flow.states.values()
        ]
        ways = [asdict(edge) for edge in layout.edges(flow)]
        said = {"name": flow.name, "initial_state": flow.initial_state, "states": states, "ways": ways}
        console.out(json.dumps(said, ensure_ascii=False), highlight=False)
    elif svg is None:
        console.out(drawing.mermaid(flow), end="", highlight=False)
    return 0


# -- simulate ------------------------------------------------------------------------------------------------


def simulate_command(
    console: Console,
    file: str,
    keys: str | None,
    set_: list[str],
    at: str | None,
    language: str,
    *,
    json_line: bool,
) -> int:
    """Play a flow; 1 where the call was lost. Raises UnreadableFile, BadFlow, Invalid."""
    text, source = read_text(file)
    flow = loader.load(text, source=source)
    now = _moment(at)
    if language not in ("", *LANGUAGES):
        raise Invalid(field="--language", reason="it is ru or en")
    given = {"caller": "+79161234567", "dialled": "+74951234567", "zone": "Europe/Moscow", **_variables(set_)}
    position = interpreter.begin(flow, variables=given, language=language)
    play = _Play(console, iter(keys.split(",")) if keys is not None else None, json_line=json_line)
    event: Event = Began()
    for _ in range(MOST_ACTIONS):
        step = interpreter.step(flow, position, event, now=now)
        for passed in step.passed:
            play.passed(passed.state, passed.event, passed.collected)
        position = step.position
        if step.action is None:
            break
        if isinstance(step.action, GoTo):
            play.told(step.action, position)
            flow = _other(flow, source, step.action.flow)
            position = interpreter.go_on(flow, position)
            event = Began()
            continue
        event = play.carry_out(step.action, position, flow.states[position.state].verb)
    play.ended(position)
    return int(position.ended == Ended.FAILED)


def _moment(at: str | None) -> datetime:
    if at is None:
        return utc_now()
    try:
        moment = datetime.fromisoformat(at)
    except ValueError as error:
        raise Invalid(field="--at", reason=f"{at!r} is no moment: 2026-11-23T20:00+03:00") from error
    if moment.tzinfo is None:
        raise Invalid(field="--at", reason="it needs its zone: 2026-11-23T20:00+03:00")
    return moment


def _variables(given: list[str]) -> dict[str, Value]:
    try:
        return pairs(given)
    except ValueError as error:
        raise Invalid(field="--set", reason=f"{str(error)!r}: write NAME=VALUE") from None


def _other(flow: Flow, source: str, name: str) -> Flow:
    """A flow that another goes on in: beside its file, or one that comes along. Raises NotFound, BadFlow."""
    if name == flow.name:
        return flow
    for path in (Path(source).parent / f"{name}{end}" for end in (".yaml", ".yml", ".json")):
        if path.exists():
            text, called = read_text(str(path))
            return loader.load(text, source=called)
    if name in shipped.NAMES:
        return shipped.flow(name, flow.language)
    raise NotFound(what="flow", key=name)


class _Play:
    """A call in the terminal."""

    def __init__(self, console: Console, script: Iterator[str] | None, *, json_line: bool) -> None:
        self.console, self.script, self.json_line = console, script, json_line

    def line(self, **members: object) -> None:
        """One line of JSON."""
        self.console.out(json.dumps(members, ensure_ascii=False, default=str), highlight=False)

    def passed(self, state: str, event: str, collected: Mapping[str, Value]) -> None:
        """A state was left."""
        if self.json_line:
            self.line(passed=state, event=event, collected=dict(collected))
        else:
            got = "".join(f"  {name} = {value}" for name, value in collected.items())
            self.console.print(
                f"  {escape(state)} → {escape(event)}{escape(got)}", style="dim", highlight=False
            )

    def told(self, action: Action, position: Position) -> None:
        """What is to be done now."""
        kind = type(action).__name__
        if self.json_line:
            self.line(state=position.state, action=kind, **members(action))
            return
        if isinstance(action, Say | Ask):
            for prompt in action.prompts:
                self.console.print(f"🔊 {escape(heard(prompt))}", style="bold", highlight=False)
        if isinstance(action, Ask):
            until = f", ended by {action.until}" if action.until else ""
            self.console.print(
                f"   keys: {action.digits} at most{until}, {action.first_s:g} s",
                style="cyan",
                highlight=False,
            )
        elif not isinstance(action, Say):
            about = ", ".join(
                f"{name}={value!r}"
                for name, value in members(action).items()
                if value not in (None, "", {}, [])
            )
            self.console.print(f"⚙ {kind}({escape(about)})", style="yellow", highlight=False)

    def carry_out(self, action: Action, position: Position, verb: Verb) -> Event:
        """What became of an action: as the script says, or the one at the terminal."""
        self.told(action, position)
        if isinstance(action, Say):
            return Played()
        if isinstance(action, HangUp):
            return HungUp()
        if self.script is None:
            return self.asked(action, verb)
        if isinstance(action, OfferAnswer):
            return Came("done")
        word = next(self.script, None)
        return HungUp() if word is None else self.event(word.strip())

    @staticmethod
    def event(word: str) -> Event:
        """What a word of the script means. Raises Invalid."""
        try:
            return event_of(word)
        except ValueError as error:
            raise Invalid(field="--set", reason=f"{str(error)!r}: write NAME=VALUE") from None

    def asked(self, action: Action, verb: Verb) -> Event:
        """What the one at the terminal does."""
        if isinstance(action, OfferAnswer):
            return Came("done")
        if isinstance(action, Ask):
            question = "keys (Enter: silence, !: hang up)"
        else:
            question = f"what became of it ({', '.join(outcomes(action, verb))}; !: hang up)"
        try:
            word = self.console.input(f"[cyan]{escape(question)}>[/cyan] ").strip()
        except EOFError:
            return HungUp()
        if word:
            return self.event(word)
        return Nothing() if isinstance(action, Ask) else Came(outcomes(action, verb)[0])

    def ended(self, position: Position) -> None:
        """The call is over."""
        how = position.ended or "stopped"
        if self.json_line:
            self.line(ended=how, served=position.served, state=position.state, variables=position.variables)
            return
        served = ", served" if position.served else ""
        self.console.print(f"■ {how} in {escape(position.state)}{served}", style="bold", highlight=False)
        for name, value in sorted(position.variables.items()):
            self.console.print(f"  {escape(name)} = {escape(str(value))}", style="dim", highlight=False)
