"""What the benchmark's page says of adding to it is so, in the processes that run cells, too."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import experiments
from benchmarks.running import extensions
from benchmarks.running.records_file import RecordsFile

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "benchmarks" / "README.md").read_text()


@pytest.fixture
def mine(tmp_path):
    for language, suffix in [("python", "py"), ("toml", "toml")]:
        (code,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
        (tmp_path / f"mine.{suffix}").write_text(code)
    return tmp_path


def run(folder, *arguments):
    """In a process of its own: what a file enters stays entered."""
    command = [sys.executable, "-m", "benchmarks", "run", *arguments, "--out", folder / "out"]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


def test_example_of_the_page(mine):
    finished = run(mine, mine / "mine.toml", "--seeds", "0")
    assert finished.returncode == 0, finished.stderr
    records = RecordsFile(mine / "out" / "records.jsonl").read()
    assert {record.status for record in records} == {"ok"}, records
    assert len(records) == 4 * 2
    assert {record.cell.dataset for record in records} == {"moons"}
    # one of two rows trains, anomalies too; or half of the 500 normal ones, the other half and 25 anomalies are tested
    sizes = {(record.cell.protocol, record.sizes["train"], record.sizes["test"]) for record in records}
    assert sizes == {("every-other", 263, 262), ("one-class", 250, 275)}
    found = [record.figures["auroc"] for record in records if record.cell.detector.name == "GatedKNN"]
    assert min(found) > 0.8  # some lie on the moons
    assert str(mine) not in (mine / "out" / "records.jsonl").read_text()
    assert "# Two moons" in (mine / "out" / "report.md").read_text()


def test_option(mine):
    options = ("--datasets", "moons", "--detectors", "MCD", "--protocols", "every-other", "--seeds", "3")
    finished = run(mine, "--extension", mine / "mine.py", *options)
    assert finished.returncode == 0, finished.stderr
    (record,) = RecordsFile(mine / "out" / "records.jsonl").read()
    assert (record.status, record.parameters["random_state"]) == ("ok", 3)


DETECTOR = """
from dataclasses import dataclass

from pyod_synth import PLAD


@dataclass(kw_only=True, eq=False, repr=False)
class Quick(PLAD):
    \"\"\"PLAD in three epochs.\"\"\"

    epoch_num: int = 3
"""


def test_detector_of_ones_own_is_there_by_its_name(tmp_path):
    extension = tmp_path / "quick.py"
    extension.write_text(DETECTOR)
    options = ("--datasets", "wine", "--detectors", "Quick,Quick:lam=1", "--protocols", "one-class", "--seeds", "0")
    finished = run(tmp_path, "--extension", extension, *options)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    records = RecordsFile(tmp_path / "out" / "records.jsonl").read()  # in the order of ending
    records.sort(key=lambda record: len(record.cell.detector.parameters))
    assert [(r.status, r.cell.detector.name, r.parameters["epoch_num"]) for r in records] == [("ok", "Quick", 3)] * 2
    assert [r.cell.detector.parameters for r in records] == [{}, {"lam": 1}]


def test_files_that_are_no_extensions(tmp_path):
    for name in ("nothing.py", "text.txt"):
        (tmp_path / "text.txt").touch()
        with pytest.raises(ValueError, match=f"path of a Python file, got .*{name}"):
            extensions.load(tmp_path / name)
    broken = tmp_path / "broken.py"
    broken.write_text("1 / 0")
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            extensions.load(broken)
    count, log = tmp_path / "count.py", tmp_path / "count.log"
    count.write_text(f"with open({str(log)!r}, 'a') as log:\n    log.write('x')")
    for _ in range(2):
        extensions.load(count)
    assert log.read_text() == "x"


def test_experiments_look_beside_themselves(mine, monkeypatch):
    monkeypatch.chdir(mine.parent)
    assert experiments.load(f"{mine.name}/mine.toml").extensions == [f"{mine.name}/mine.py"]


def test_files_of_the_page_are_there():
    targets = re.findall(r"\]\(([^)]+)\)", PAGE)
    assert len(targets) > 20
    for target in targets:
        assert (ROOT / "benchmarks" / target).exists(), target
    # and no folder is missing on it
    for path in (ROOT / "benchmarks").iterdir():
        if path.is_dir() and not path.name.startswith("__"):
            assert f"[{path.name}]({path.name})" in PAGE, path.name


def test_code_of_the_page_reads_records(monkeypatch):
    monkeypatch.chdir(ROOT)
    *lines, last = re.findall(r"^>>> (.*)$", PAGE, re.MULTILINE)
    names = {}
    exec("\n".join(lines), names)
    assert 0.5 < eval(last, names) < 1
