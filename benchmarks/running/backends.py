"""Where cells run: here, on a Dask or a Ray cluster; everywhere in the processes of ``benchmarks.running.processes``.

A backend has ``jobs``, how many cells it runs at a time; ``run``, which waits for a cell and is called from that many
threads; ``stop``, which makes those calls end soon; ``close``, for when they have ended. (joblib's own backends are not
used: Ray's gives no result before all are there, and hands the tasks to processes at random.)
"""

import logging
import multiprocessing
import socket
import uuid
from contextlib import ExitStack
from threading import Lock

from joblib import cpu_count

from benchmarks.running.processes import Workers, inherited
from benchmarks.running.records import Record


class Local:
    """The machine that we are on."""

    def __init__(self, jobs=None, scheduler=None):
        if scheduler is not None:
            raise ValueError(f"scheduler is for the backends dask and ray, got {scheduler!r}")
        self.jobs = jobs or cpu_count()
        self._workers = Workers()
        self.run = self._workers.run
        self.stop = self.close = self._workers.stop


class Dask:
    """A Dask cluster: one that is there, or one of this machine's processes."""

    def __init__(self, jobs=None, scheduler=None):
        try:
            import dask
            import distributed
        except ImportError as error:
            raise ValueError("the backend dask needs Dask: pip install -e '.[dask]'") from error
        self._lost = distributed.scheduler.KilledWorker
        self._name = uuid.uuid4().hex
        self._open = ExitStack()
        cluster = scheduler
        if scheduler is None:
            # asked for whenever a worker is started anew
            self._open.enter_context(dask.config.set({"distributed.worker.daemon": False}))
            with inherited():
                cluster = distributed.LocalCluster(
                    n_workers=jobs or cpu_count(),
                    threads_per_worker=1,
                    dashboard_address=None,
                    silence_logs=logging.ERROR,
                )
            self._open.enter_context(cluster)
        try:
            self._client = self._open.enter_context(distributed.Client(cluster, timeout=10, set_as_default=False))
            self._client.wait_for_workers(1, timeout=30)
        except (OSError, TimeoutError, ValueError) as error:
            self._open.close()
            raise ValueError(f"no Dask cluster with workers at scheduler {scheduler!r}: {error}") from error
        if any(self._client.run(_is_daemonic).values()):
            self._open.close()
            raise ValueError(
                f"the Dask workers at {scheduler!r} may not start processes: start them with --no-nanny, or with "
                "DASK_DISTRIBUTED__WORKER__DAEMON=False in their environment"
            )
        self.jobs = jobs or sum(self._client.nthreads().values())

    def run(self, cell, folder=None, **limits):
        """See :meth:`benchmarks.running.processes.Workers.run`."""
        try:
            return self._client.submit(_run_there, self._name, cell, folder, limits, pure=False).result()
        except self._lost as error:
            return Record(cell, "failed", f"the Dask workers that had it died: {error}")

    def stop(self):
        """Kill what runs."""
        self._client.run(_stop_there, self._name)

    def close(self):
        """Leave nothing on a cluster that is not ours, and end one that is."""
        self.stop()
        self._open.close()


class Ray:
    """A Ray cluster: one that is there, or one of this machine's processes."""

    def __init__(self, jobs=None, scheduler=None):
        try:
            import ray
        except ImportError as error:
            raise ValueError("the backend ray needs Ray: pip install -e '.[ray]'") from error
        options = {"log_to_driver": False, "logging_level": "warning"}
        if scheduler is None:
            ray.init("local", num_cpus=jobs or cpu_count(), include_dashboard=False, **options)
        else:
            try:
                host, _, port = scheduler.removeprefix("ray://").rpartition(":")
                socket.create_connection((host, int(port)), timeout=10).close()  # Ray itself tries for minutes
                ray.init(scheduler, **options)
            except (OSError, ValueError) as error:
                raise ValueError(f"no Ray cluster at scheduler {scheduler!r}: {error}") from error
        self._ray = ray
        self._name = uuid.uuid4().hex
        self._task = ray.remote(_run_there)
        self._running = set()
        self._lock = Lock()
        self.jobs = jobs or int(ray.cluster_resources()["CPU"])

    def run(self, cell, folder=None, **limits):
        """See :meth:`benchmarks.running.processes.Workers.run`."""
        task = self._task.remote(self._name, cell, folder, limits)
        with self._lock:
            self._running.add(task)
        try:
            return self._ray.get(task)
        except self._ray.exceptions.RayTaskError:
            raise
        except self._ray.exceptions.RayError as error:
            return Record(cell, "failed", f"the Ray workers that had it died: {error}")
        finally:
            with self._lock:
                self._running.discard(task)

    def stop(self):
        """Kill what runs."""
        with self._lock:
            for task in self._running:
                self._ray.cancel(task, force=True)

    def close(self):
        """Leave the cluster, which ends our processes there."""
        self._ray.shutdown()


BACKENDS: dict[str, type[Local | Dask | Ray]] = {"local": Local, "dask": Dask, "ray": Ray}

_THERE: dict[str, Workers] = {}  # in a cluster's process: run -> its processes


def _run_there(run, cell, folder, limits):
    return _THERE.setdefault(run, Workers()).run(cell, folder, **limits)


def _stop_there(run):
    _THERE.setdefault(run, Workers()).stop()


def _is_daemonic():
    return multiprocessing.current_process().daemon
