"""The files that both benches keep: what a break leaves of them, and what of it is read."""

from __future__ import annotations

import fcntl
import threading
from pathlib import Path

import pytest

from dialer.bench.lines import Lines
from dialer.bench.model import from_line
from dialer.errors import Invalid, UnreadableFile


@pytest.fixture
def lines(tmp_path: Path) -> Lines:
    """A file that is not there yet, nor is its folder."""
    return Lines(tmp_path / "deep" / "lines.jsonl")


def test_lines_come_back_in_their_order(lines: Lines) -> None:
    """What is appended is read; where there is no file there is nothing."""
    assert lines.read(dict) == []
    lines.append({"n": 1, "said": "да"})
    lines.append({"n": 2})
    assert lines.read(dict) == [{"n": 1, "said": "да"}, {"n": 2}]


def test_a_whole_last_line_without_its_newline_is_kept(lines: Lines) -> None:
    """It is read, and the next stands on a line of its own."""
    lines.append({"n": 1})
    lines.path.write_bytes(lines.path.read_bytes().rstrip(b"\n"))
    assert lines.read(dict) == [{"n": 1}]
    lines.append({"n": 2})
    assert lines.read(dict) == [{"n": 1}, {"n": 2}]


@pytest.mark.parametrize("bytes_left", [1, 9, 14, 15])
def test_a_last_line_that_was_cut_is_passed_over_and_then_gone(lines: Lines, bytes_left: int) -> None:
    """Wherever the break has cut it, in the middle of a letter too; the others are as they were."""
    lines.append({"n": 1})
    with lines.path.open("ab") as file:
        file.write('{"said": "нет"}'.encode()[:bytes_left])
    assert lines.read(dict) == [{"n": 1}]
    lines.append({"n": 2})
    assert lines.path.read_bytes() == b'{"n": 1}\n{"n": 2}\n'


@pytest.mark.parametrize("wrong", ["{broken", "[1]", "3"])
def test_a_line_of_something_else_is_named(lines: Lines, wrong: str) -> None:
    """With its number; blank lines are none."""
    lines.append({"n": 1})
    with lines.path.open("a", encoding="utf-8") as file:
        file.write(f"\n{wrong}\n")
    with pytest.raises(UnreadableFile, match="line 3"):
        lines.read(dict)


def test_two_who_write_at_once_wait_for_each_other(lines: Lines) -> None:
    """A line that another bench is in the middle of is not taken for one that a break has cut."""
    lines.append({"n": 1})
    with lines.path.open("ab", buffering=0) as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        other.write(b'{"n": ')
        writing = threading.Thread(target=lines.append, args=({"n": 3},))
        writing.start()
        writing.join(0.3)
        other.write(b"2}\n")
    writing.join()
    assert lines.read(dict) == [{"n": 1}, {"n": 2}, {"n": 3}]


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ({"fault": "kill", "seed": "1"}, "seed"),
        ({"fault": "kill", "seed": 1, "calls": None}, "calls"),
        ({"fault": "kill", "seed": 1, "recover_s": "soon"}, "recover_s"),
        ({"fault": "kill", "seed": 1, "figures": {"tries": "many"}}, "figures"),
        ({"fault": "kill", "seed": 1, "figures": 3}, "figures"),
        ({"fault": "kill"}, "seed"),
    ],
)
def test_a_line_whose_fields_are_of_another_kind_is_named(
    lines: Lines, line: dict[str, object], named: str
) -> None:
    """At the reading, by its number and the field: not by a fall when its figures are summed up."""
    lines.append({"fault": "kill", "seed": 1})
    lines.append(line)
    with pytest.raises(UnreadableFile, match=f"line 2: .*{named}"):
        lines.read(from_line)


def test_a_path_that_cannot_be_written_is_told_before_the_work(tmp_path: Path) -> None:
    """With the option and the path; one that can be is there then, and whole."""
    Lines(tmp_path / "file").append({"n": 1})
    for path in (tmp_path, tmp_path / "file" / "below.jsonl"):
        with pytest.raises(Invalid, match=f"--results: {path} cannot be written"):
            Lines(path).claim("--results")
    Lines(tmp_path / "file").claim("--results")
    assert Lines(tmp_path / "file").read(dict) == [{"n": 1}]
