"""What is wrong with a script that can be read: where an agent would be lost, and what is not there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from difflib import get_close_matches

from dialer.said import told
from dialer.scripts.model import (
    RETURN,
    ROOTS,
    Action,
    Branch,
    End,
    Knowledge,
    Question,
    Script,
    Step,
)
from ivr_flows.model import Problem
from ivr_flows.templates import names


def problems(script: Script) -> tuple[Problem, ...]:
    """All that is wrong, in the order of the text."""
    return tuple(sorted(_Look(script).all(), key=lambda one: (one.line, one.path)))


class _Look:
    """A script that is looked at."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.steps: Mapping[str, Step] = script.steps
        self.answers = {one.key: one for one in reversed(list(script.questions))}
        self.ways = {
            name: {target for _, target in one.leads_to() if target in script.steps}
            for name, one in script.steps.items()
        }

    def bad(self, path: str, code: str, text: str, **names: object) -> Problem:
        """A problem with its line: where it stands, or what it stands in; `names` stand in the text."""
        at = path
        while at and at not in self.script.lines:
            at = at.rpartition(".")[0]
        return Problem(self.script.lines.get(at, 0), path, code, told(text, **names) if names else text)

    def all(self) -> Iterator[Problem]:
        """Every problem."""
        yield from self.targets()
        for one in self.steps.values():
            yield from self.texts(one)
            if isinstance(one, Branch):
                yield from self.cases(one)
        yield from self.kinds()
        if self.script.first not in self.steps:
            return
        plain = self.reached({self.script.first})
        yield from self.unreached(plain)
        yield from self.returns(plain)
        yield from self.dead_ends()
        yield from self.loops()

    def targets(self) -> Iterator[Problem]:
        """Steps that are named and are not there."""
        if self.script.first not in self.steps:
            yield self.missing("first", self.script.first)
        for one in self.steps.values():
            for where, target in one.leads_to():
                if target != RETURN and target not in self.steps:
                    yield self.missing(f"steps.{one.name}.{where}", target)
        for way in self.script.exits.values():
            if way.to not in self.steps:
                yield self.missing(f"exits.{way.name}.to", way.to)

    def missing(self, path: str, target: str) -> Problem:
        """A step that is not there."""
        near = get_close_matches(target, self.steps, 1)
        if near:
            text = "there is no step “{name}”; did you mean “{near}”?"
            return self.bad(path, "no_step", text, name=target, near=near[0])
        return self.bad(path, "no_step", "there is no step “{name}”", name=target)

    def texts(self, one: Step) -> Iterator[Problem]:
        """Variables that nobody knows."""
        if isinstance(one, Branch):
            return
        found = {"text": one.text}
        if isinstance(one, Action):
            found |= {f"values.{name}": text for name, text in one.values.items()}
        if isinstance(one, Knowledge):
            found["query"] = one.query
        for where, text in found.items():
            for name in names(text):
                root, dot, _ = name.partition(".")
                if (root not in ROOTS) if dot else (name not in self.answers):
                    known = ", ".join([*(f"{each}.…" for each in ROOTS), *sorted(self.answers)])
                    yield self.bad(
                        f"steps.{one.name}.{where}",
                        "no_variable",
                        "nothing is known as “{name}”: {names}",
                        name=name,
                        names=known,
                    )

    def cases(self, one: Branch) -> Iterator[Problem]:
        """Cases that no answer can come to."""
        for n, case in enumerate(one.cases):
            path = f"steps.{one.name}.cases.{n}"
            question = self.answers.get(case.answer)
            if question is None:
                text, known = (
                    "no question is answered into “{name}”: {names}",
                    ", ".join(sorted(self.answers)),
                )
                yield self.bad(f"{path}.answer", "no_answer", text, name=case.answer, names=known)
            elif case.equals is not None and question.answers and str(case.equals) not in question.answers:
                text, known = "“{name}” is never “{value}”: {names}", ", ".join(question.answers)
                yield self.bad(
                    f"{path}.equals", "never", text, name=case.answer, value=str(case.equals), names=known
                )
            elif (case.least is not None or case.most is not None) and question.kind != "number":
                text = "“{name}” is no number: its question is of the kind {kind}"
                yield self.bad(path, "never", text, name=case.answer, kind=question.kind)

    def kinds(self) -> Iterator[Problem]:
        """Two questions that are answered into one name, and are of two kinds."""
        for one in self.script.questions:
            first = self.answers[one.key]
            if (one.kind, one.answers) != (first.kind, first.answers):
                text = "the step “{name}” answers into “{key}” too, and asks another kind"
                yield self.bad(f"steps.{one.name}", "two_kinds", text, name=first.name, key=one.key)
            if one.key in ROOTS:
                text = "“{name}” is the name of what is known: call the answer another name"
                yield self.bad(f"steps.{one.name}", "taken", text, name=one.key)

    def reached(self, begin: Set[str]) -> set[str]:
        """Where one can come to from these steps."""
        seen: set[str] = set()
        waiting = [one for one in begin if one in self.steps]
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                waiting += self.ways[name]
        return seen

    def unreached(self, plain: Set[str]) -> Iterator[Problem]:
        """Steps to which nothing leads."""
        seen = plain | self.reached({way.to for way in self.script.exits.values()})
        for name in self.steps:
            if name not in seen:
                yield self.bad(f"steps.{name}", "unreached", "nothing leads to the step “{name}”", name=name)

    def returns(self, plain: Set[str]) -> Iterator[Problem]:
        """Steps that return though no exit need have led there."""
        for name in plain:
            for where, target in self.steps[name].leads_to():
                if target == RETURN:
                    yield self.bad(
                        f"steps.{name}.{where}",
                        "no_return",
                        "the talk comes here without an exit too, and has nowhere to return to",
                    )

    def dead_ends(self) -> Iterator[Problem]:
        """Steps from which the talk cannot end. Who returns ends as the step that is returned to does; a step
        that is not there is told of elsewhere."""
        good = {
            name
            for name, one in self.steps.items()
            if isinstance(one, End) or any(target not in self.steps for _, target in one.leads_to())
        }
        more = True
        while more:
            found = {name for name, to in self.ways.items() if name not in good and to & good}
            good |= found
            more = bool(found)
        for name in self.steps:
            if name not in good:
                text = "from the step “{name}” no end can be reached"
                yield self.bad(f"steps.{name}", "dead_end", text, name=name)

    def loops(self) -> Iterator[Problem]:
        """Rings of steps in which nothing is asked: the agent would say the same again and again."""
        ways = {
            name: sorted(to) for name, to in self.ways.items() if not isinstance(self.steps[name], Question)
        }
        for name in self.steps:
            if name in ways and name in _from(ways, name):
                text = "the talk can go round from “{name}” to itself, and nothing is asked on the way"
                yield self.bad(f"steps.{name}", "loop", text, name=name)


def _from(ways: Mapping[str, list[str]], begin: str) -> set[str]:
    """Where these ways lead to from a step, itself only if they come back to it."""
    seen: set[str] = set()
    waiting = list(ways[begin])
    while waiting:
        name = waiting.pop()
        if name not in seen and name in ways:
            seen.add(name)
            waiting += ways[name]
    return seen
