"""Where work runs: in this process, in local processes, or on a Dask cluster, behind one `Executor` interface.

The functions that are submitted take plain values and file names only, so every executor runs the same code on the
same inputs; all workers must see the corpus and the dataset under the same paths.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing import forkserver, resource_tracker
from threading import Event
from typing import Any, Literal, TypeVar

from mos.errors import UserError

T = TypeVar("T")

WORKER_ENVIRONMENT = {
    # One thread each, or as many workers as cores would fight over the cores.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    # Pictures come and go by the megabyte: keep their memory instead of asking for every page of it again.
    "MALLOC_MMAP_THRESHOLD_": str(64 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
}

Kind = Literal["local", "dask"]


class InProcess(Executor):
    """Runs each call at once in the caller: one worker, easy to debug, nothing to pickle."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def available_cores() -> int:
    """Cores that this process may use (a container's limit, not the machine's)."""
    return len(os.sched_getaffinity(0))


class Pool:
    """An executor with a bounded number of calls under way, so that results never pile up."""

    def __init__(self, executor: Executor, window: int) -> None:
        self._executor = executor
        self._window = window
        self._stopped = Event()

    def stop(self) -> None:
        """Begin no more calls: `run` in another thread ends after those under way."""
        self._stopped.set()

    def run(self, function: Callable[..., T], calls: Iterable[tuple[Any, ...]]) -> Iterator[T]:
        """Results of `function(*call)` as they finish; on the first error the calls not yet begun are cancelled."""
        waiting = iter(calls)
        running: set[Future[T]] = set()
        try:
            while not self._stopped.is_set():
                for call in islice(waiting, self._window - len(running)):
                    running.add(self._executor.submit(function, *call))
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        finally:
            for future in running:
                future.cancel()


@contextmanager
def pool(kind: Kind = "local", workers: int | None = None, scheduler: str | None = None) -> Iterator[Pool]:
    """A pool for the length of a build.

    Raises:
        UserError: the cluster cannot be reached, or a worker process died.
    """
    count = workers or available_cores()
    if kind == "dask":
        with _dask(scheduler) as cluster:
            yield Pool(cluster, 64)
    elif count == 1:
        yield Pool(InProcess(), 1)
    else:
        with _processes(count) as processes:
            yield Pool(processes, 4 * count)


def warm_up(kind: Kind = "local", workers: int | None = None) -> None:
    """Begin to load what local workers need, in a process of its own, before the caller loads what it needs itself."""
    if kind == "local" and (workers or available_cores()) > 1:
        _context()


def _context() -> multiprocessing.context.ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["editfhf.build.worker"])
    # Ctrl-C reaches the whole group: the server and its workers inherit that it is blocked, and the caller decides.
    resource_tracker.ensure_running()  # which the server would start itself, unblocking the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with _environment(WORKER_ENVIRONMENT):
            forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return context


@contextmanager
def _processes(workers: int) -> Iterator[Executor]:
    pool = ProcessPoolExecutor(workers, mp_context=_context(), initializer=_settle)
    try:
        yield pool
    except BrokenProcessPool:
        raise UserError(
            "A worker process died, perhaps for want of memory. "
            "Run the same command again: it resumes; fewer --workers need less memory."
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _settle() -> None:
    # For a server that ran already, started by somebody else.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    # A build that is killed closes no queue: its workers would wait for the next call for ever.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _dask(scheduler: str | None) -> Iterator[Executor]:
    from distributed import Client, KilledWorker
    from distributed.comm import CommClosedError
    from distributed.comm.addressing import parse_address, parse_host_port
    from distributed.comm.registry import get_backend

    if scheduler is None:
        raise UserError("--executor dask needs --scheduler ADDRESS, for example tcp://127.0.0.1:8786.")
    try:
        # Client itself would try an address that can never answer until its time is up, and then once more.
        scheme, place = parse_address(scheduler)
        get_backend(scheme)
        parse_host_port(place)
        client = Client(scheduler, timeout=20, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise UserError(
            f"No Dask scheduler answers at {scheduler} ({error.__class__.__name__}). Expected an address such as "
            "tcp://127.0.0.1:8786 of a running `dask scheduler`."
        ) from None
    try:
        # retries: a task whose worker was killed is done again elsewhere.
        yield client.get_executor(retries=3, pure=False)
    except (KilledWorker, CancelledError, CommClosedError) as error:
        raise UserError(
            f"The cluster at {scheduler} lost its workers or its scheduler ({error.__class__.__name__}). "
            "Run the same command again: it resumes."
        ) from None
    finally:
        client.close()
