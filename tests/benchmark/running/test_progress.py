"""What is shown while cells run."""

import io
import re
import sys
import time

import pytest

from benchmarks.detectors import parse
from benchmarks.running import progress
from benchmarks.running.progress import Progress
from benchmarks.running.records import Cell, Record


def cell(dataset="10_far", detector="IForest:n_estimators=300", seed=7):
    return Cell(dataset, "one-class", parse(detector), seed)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def seconds(line):
    """What a line says is left."""
    minutes, rest = re.search(r"<(?:(\d+):)?(\d+:\d+)[,\]]", line).groups()
    return 3600 * int(minutes or 0) + 60 * int(rest.split(":")[0]) + int(rest.split(":")[1])


def test_the_first_lines_name_a_cell_and_have_an_estimate(capsys):
    shown = Progress(1740, 1740, 2)
    with shown.running(cell()):
        first, start, named = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
        with shown.running(cell("2_near")):
            pass
    shown.close()
    assert first == "1740 of 1740 cells to do, 0 done before; 2 at a time"
    assert start == "0/1740 [00:00<14:30]"  # a second each, two at a time
    assert named.startswith("0/1740 [00:0")
    assert seconds(named) >= 870
    assert "running 1 (10_far, one-class, IForest(n_estimators=300), seed 7), failed 0, skipped 0]" in named


def test_until_a_cell_ends_the_estimate_grows_with_those_that_run(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    shown = Progress(110, 100, 1)
    with shown.running(cell()), shown.running(cell("2_near")):
        time.sleep(3.5)
    shown.count(Record(cell(), "failed", "no memory"))
    shown.close()
    lines = [line for line in re.split("[\r\n]", terminal.getvalue()) if "/110 [" in line]
    assert "?" not in "".join(lines)
    assert "10/110 [" in lines[0]
    running = [line for line in lines if "10/110" in line and "and 1 more" in line]
    assert len(running) >= 3  # each second, though nothing ends
    assert "running 2 (10_far, one-class, IForest(n_estimators=300), seed 7 and 1 more)" in running[-1]
    assert 290 >= seconds(running[0]) >= 100
    assert seconds(running[-1]) > seconds(running[0])
    assert "11/110 [" in lines[-1]
    assert "running 0, failed 1, skipped 0]" in lines[-1]


def test_lines_say_the_state_now_and_then_without_a_terminal(capsys, monkeypatch):
    monkeypatch.setitem(progress._SECONDS, "lines", 0.5)
    shown = progress.Progress(10, 10, 1)
    with shown.running(cell()):
        time.sleep(2.5)
        lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("0/10")]
    shown.close()
    assert 4 <= len(lines) <= 8
    assert all("10_far" in line for line in lines[1:])


def test_nothing_to_do(capsys):
    Progress(3, 0, 2).close()
    lines = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
    assert lines[0] == "0 of 3 cells to do, 3 done before; 2 at a time"
    assert lines[-1].startswith("3/3 [00:00<00:00")


@pytest.mark.parametrize(
    "name", ["\x1b]0;mine\x07\x1b[2J", "two\nlines\r", "{elapsed}{nothing}", "x" * 5000, "\u202eabc"]
)
def test_hostile_names_are_shown_in_one_short_line_that_no_terminal_obeys(name, capsys):
    shown = Progress(2, 2, 1)
    with shown.running(cell(name, "KNN")):
        pass
    shown.close()
    text = capsys.readouterr().err
    (line,) = [line for line in re.split("[\r\n]", text) if "running 1" in line]
    assert len(line) < 200
    assert all(character.isprintable() or character in "\r\n" for character in text)
    letters = "".join(character for character in name if character.isprintable())
    assert letters[:20] in line.replace("?", "")
