"""Run calls in this process, in local processes, or on a Dask cluster.

The calls take plain values and file names only, so that every executor runs the same code on the same inputs. All
workers must see the corpus and the dataset under the same paths.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from itertools import islice
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.process import BaseProcess
from threading import Event
from types import ModuleType
from typing import Any, Literal, TypeVar

from mos.errors import UserError
from mos.processes import ONE_THREAD_EACH, await_helpers_at_exit, end_with_parent

T = TypeVar("T")

WORKER_ENVIRONMENT = {
    # There are as many workers as cores.
    **ONE_THREAD_EACH,
    # Images take megabytes for a short time: keep their memory instead of returning it to the system.
    "MALLOC_MMAP_THRESHOLD_": str(64 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
}

ExecutorKind = Literal["local", "dask"]


class InProcessExecutor(Executor):
    """Runs each call immediately in the caller: easy to debug, nothing to pickle."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run the call; the future is done when it is returned."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def count_available_cores() -> int:
    """Cores that this process may use; a container may have fewer than the machine."""
    return len(os.sched_getaffinity(0))


class BoundedPool:
    """An executor with at most `window` submitted calls, so that results do not accumulate."""

    def __init__(self, executor: Executor, window: int) -> None:
        self._executor = executor
        self._window = window
        self._stopped = Event()

    def stop(self) -> None:
        """Submit no more calls: a `run` in another thread ends after the calls that it submitted."""
        self._stopped.set()

    def run(self, function: Callable[..., T], calls: Iterable[tuple[Any, ...]]) -> Iterator[T]:
        """Results of `function(*call)` as they finish; the first error cancels all calls that did not start."""
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
def open_worker_pool(
    kind: ExecutorKind = "local", workers: int | None = None, scheduler: str | None = None
) -> Iterator[BoundedPool]:
    """A pool of workers for one build.

    Parameters
    ----------
    kind
        "local" (processes) or "dask".
    workers
        Local processes; all cores when None. One worker runs in this process.
    scheduler
        Address of the Dask scheduler.

    Raises
    ------
    UserError
        The cluster cannot be reached, or a worker process died.
    """
    count = workers or count_available_cores()
    if kind == "dask":
        with _open_dask_pool(scheduler) as cluster:
            yield BoundedPool(cluster, 64)
    elif count == 1:
        yield BoundedPool(InProcessExecutor(), 1)
    else:
        with _open_process_pool(count) as processes:
            yield BoundedPool(processes, 4 * count)


def warm_up_workers(kind: ExecutorKind = "local", workers: int | None = None) -> None:
    """Start to import what local workers need, in another process, while the caller imports its own modules."""
    if kind == "local" and (workers or count_available_cores()) > 1:
        _start_fork_server()


class _WorkerProcess(ForkServerProcess):
    """A process that does not run the caller's script again: our calls need nothing of it.

    Without this, a script that calls `editfhf.build` outside of `if __name__ == "__main__":` would start builds in
    its own workers.
    """

    @staticmethod
    def _Popen(process_obj: BaseProcess) -> Any:
        script = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            return ForkServerProcess._Popen(process_obj)
        finally:
            sys.modules["__main__"] = script


class _WorkerContext(ForkServerContext):
    Process = _WorkerProcess


def _start_fork_server() -> ForkServerContext:
    await_helpers_at_exit()
    context = _WorkerContext()
    context.set_forkserver_preload(["editfhf.builder.shards"])
    # Ctrl-C reaches the whole process group. The server and its workers inherit the blocked signal: the caller decides.
    resource_tracker.ensure_running()  # the server would start it with the signal unblocked
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with _set_environment(WORKER_ENVIRONMENT):
            forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return context


@contextmanager
def _open_process_pool(workers: int) -> Iterator[Executor]:
    pool = ProcessPoolExecutor(workers, mp_context=_start_fork_server(), initializer=_prepare_worker)
    try:
        yield pool
    except BrokenProcessPool:
        raise UserError(
            "A worker process died, perhaps because of too little memory. "
            "Run the same command again: it resumes. Fewer --workers need less memory."
        ) from None
    finally:
        with suppress(RuntimeError):  # the pool's own thread could not be started: then there is nobody to wait for
            pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _set_environment(values: Mapping[str, str]) -> Iterator[None]:
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


def _prepare_worker() -> None:
    # For a fork server that other code started before.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()


@contextmanager
def _open_dask_pool(scheduler: str | None) -> Iterator[Executor]:
    from distributed import Client, KilledWorker
    from distributed.comm.addressing import parse_address, parse_host_port
    from distributed.comm.core import CommClosedError
    from distributed.comm.registry import get_backend

    if scheduler is None:
        raise UserError("--executor dask needs --scheduler ADDRESS, for example tcp://127.0.0.1:8786.")
    try:
        # Client would retry an impossible address until its timeout, twice.
        scheme, place = parse_address(scheduler)
        get_backend(scheme)
        parse_host_port(place)
        make_client: Any = Client  # the package is typed in part only
        client = make_client(scheduler, timeout=20, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise UserError(
            f"No Dask scheduler answers at {scheduler} ({error.__class__.__name__}). Expected an address such as "
            "tcp://127.0.0.1:8786 of a running `dask scheduler`."
        ) from None
    try:
        # retries: a call whose worker was killed is repeated on another one.
        yield client.get_executor(retries=3, pure=False)
    except (KilledWorker, CancelledError, CommClosedError) as error:
        raise UserError(
            f"The cluster at {scheduler} lost its workers or its scheduler ({error.__class__.__name__}). "
            "Run the same command again: it resumes."
        ) from None
    finally:
        client.close()
