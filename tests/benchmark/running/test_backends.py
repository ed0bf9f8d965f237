"""The same cells on real clusters, small ones of this machine."""

import importlib
import logging
import sys
from dataclasses import replace

import psutil
import pytest

from benchmarks.experiments import Experiment
from benchmarks.running.records_file import RecordsFile
from tests.benchmark.records import run, specs

GRID = Experiment("grid", ["wine"], specs("KNN", "PLAD:epoch_num=3"), ["one-class", "unsupervised"], [0])


def results(records):
    return [replace(record, fit_seconds=None, score_seconds=None, peak_mib=None) for record in records]


@pytest.mark.parametrize(("backend", "package"), [("dask", "distributed"), ("ray", "ray")])
def test_cluster_of_this_machine(backend, package, tmp_path):
    pytest.importorskip(package, reason=f"needs the extra {backend}")
    file = RecordsFile(tmp_path / "records.jsonl")
    records = run(GRID, file, jobs=2, backend=backend)
    assert len(file.path.read_text().splitlines()) == 4
    assert results(records) == results(run(GRID, RecordsFile(tmp_path / "here.jsonl"), jobs=2))
    assert {record.status for record in records} == {"ok"}

    slow = replace(
        GRID, detectors=specs("PLAD:epoch_num=10000000", "KNN"), protocols=["one-class"], seeds=[1], time_limit=3
    )
    failed, done = run(slow, file, jobs=2, backend=backend)
    assert (failed.status, failed.reason) == ("failed", "took longer than 3 s")
    assert done.status == "ok"


def test_dask_cluster_that_is_there(tmp_path):
    distributed = pytest.importorskip("distributed", reason="needs the extra dask")
    options = {"n_workers": 1, "threads_per_worker": 2, "dashboard_address": None, "silence_logs": logging.ERROR}
    with distributed.LocalCluster(processes=False, protocol="tcp", **options) as cluster:
        file = RecordsFile(tmp_path / "records.jsonl")
        records = run(GRID, file, jobs=None, backend="dask", scheduler=cluster.scheduler_address)
        assert {record.status for record in records} == {"ok"}
        assert len(cluster.scheduler_info["workers"]) == 1
        names = [" ".join(process.cmdline()) for process in psutil.Process().children(recursive=True)]
        assert sum("forkserver" in name for name in names) <= 1  # the server itself


def test_dask_workers_that_may_start_no_processes(tmp_path):
    distributed = pytest.importorskip("distributed", reason="needs the extra dask")
    options = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None, "silence_logs": logging.ERROR}
    with distributed.LocalCluster(**options) as cluster:
        file = RecordsFile(tmp_path / "records.jsonl")
        with pytest.raises(ValueError, match="may not start processes: start them with --no-nanny"):
            run(GRID, file, backend="dask", scheduler=cluster.scheduler_address)
    assert not file.path.exists()


def test_ray_cluster_that_is_not_there(tmp_path):
    pytest.importorskip("ray", reason="needs the extra ray")
    with pytest.raises(ValueError, match="no Ray cluster at scheduler '127.0.0.1:1'"):
        run(GRID, RecordsFile(tmp_path / "records.jsonl"), backend="ray", scheduler="127.0.0.1:1")


@pytest.mark.parametrize(("backend", "package"), [("dask", "distributed"), ("ray", "ray")])
def test_package_that_is_not_there(backend, package, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError):
        importlib.import_module(package)
    with pytest.raises(ValueError, match=rf"pip install -e '.\[{backend}\]'"):
        run(GRID, RecordsFile(tmp_path / "records.jsonl"), backend=backend)
