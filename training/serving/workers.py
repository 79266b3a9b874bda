"""Worker processes: each loads the agents once; one that crashes, hangs or is killed costs its pair alone."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

from annotation.images import ImageError
from mos.errors import UserError
from mos.processes import ONE_THREAD_EACH, end_with_parent
from training.agents.results import AgentFailure
from training.serving.pair_items import PairBytes, RefusedItem

Work = Callable[[PairBytes], dict[str, Any]]

START_SECONDS = 300.0
"""Time in which a worker must have loaded its agents."""


class Service(Protocol):
    """What the workers do; picklable."""

    def load_routes(self) -> Mapping[str, Work]:
        """Load the agents, in the worker, and return the work of each route."""


@dataclass(slots=True)
class _Job:
    route: str
    pair: PairBytes
    deadline: float
    result: Future[dict[str, Any]] = field(default_factory=Future)


class WorkerPool:
    """Worker processes, each with a thread of this process that feeds it.

    Parameters
    ----------
    service : Service
    workers : int
        Number of processes.
    item_seconds : float
        Time for one pair, waiting included.

    Raises
    ------
    UserError
        A worker cannot load its agents.
    """

    def __init__(self, service: Service, workers: int, item_seconds: float) -> None:
        self.restarts = 0
        self._service = service
        self._seconds = item_seconds
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._workers = [_Worker(service) for _ in range(workers)]
        try:
            for worker in self._workers:
                worker.await_ready()
        except BaseException:
            for worker in self._workers:
                worker.kill()
            raise
        self._threads = [threading.Thread(target=self._feed, args=(worker,), daemon=True) for worker in self._workers]
        for thread in self._threads:
            thread.start()

    @property
    def process_ids(self) -> list[int]:
        """Process ids of the workers."""
        return [worker.process.pid or 0 for worker in self._workers]

    def submit(self, route: str, pair: PairBytes) -> Future[dict[str, Any]]:
        """Work on a pair; the future raises `RefusedItem` where there is no result."""
        job = _Job(route, pair, time.monotonic() + self._seconds)
        self._jobs.put(job)
        return job.result

    def close(self) -> None:
        """Finish the jobs that were submitted, and stop the workers."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        for worker in self._workers:
            worker.kill()

    def _feed(self, worker: _Worker) -> None:
        while (job := self._jobs.get()) is not None:
            if not job.result.set_running_or_notify_cancel():
                continue
            try:
                if not worker.process.is_alive():
                    self._restart(worker)
                job.result.set_result(worker.work(job))
            except RefusedItem as refused:
                if refused.reason in ("worker_lost", "timeout"):
                    self._restart(worker, wait=False)
                job.result.set_exception(refused)
            except Exception as error:  # the thread must go on: without it the worker is lost for good
                job.result.set_exception(RefusedItem(503, "worker_lost", f"No worker: {type(error).__name__}."))

    def _restart(self, worker: _Worker, wait: bool = True) -> None:
        self.restarts += 1
        worker.kill()
        worker.start(self._service)
        if wait:
            worker.await_ready()


class _Worker:
    """One process and the pipe to it."""

    def __init__(self, service: Service) -> None:
        self.start(service)

    def start(self, service: Service) -> None:
        context = multiprocessing.get_context("spawn")
        self._ready = False
        self._pipe, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_run_worker, args=(service, theirs), daemon=True)
        self.process.start()
        theirs.close()

    def await_ready(self) -> None:
        """UserError if the agents cannot be loaded."""
        if self._ready:
            return
        try:
            problem = self._pipe.recv() if self._pipe.poll(START_SECONDS) else "it took too long"
        except (EOFError, OSError):
            problem = "the process ended"
        if problem is not None:
            raise UserError(f"A worker could not load its agents: {problem}")
        self._ready = True

    def work(self, job: _Job) -> dict[str, Any]:
        """The result of a job, or `RefusedItem`."""
        self.await_ready()
        left = job.deadline - time.monotonic()
        if left <= 0:
            raise RefusedItem(504, "waited_too_long", "The pair waited too long for a worker. Ask again later.")
        try:
            self._pipe.send((job.route, job.pair))
            if not self._pipe.poll(left):
                raise RefusedItem(504, "timeout", "The pair took too long and was given up.")
            answer = self._pipe.recv()
        except (EOFError, OSError):
            raise RefusedItem(503, "worker_lost", "The worker of this pair ended. Ask again.") from None
        if isinstance(answer, tuple):
            raise RefusedItem(*answer)
        found: dict[str, Any] = answer
        return found

    def kill(self) -> None:
        """End the process, whatever it does."""
        self.process.kill()
        self.process.join()
        self._pipe.close()


def _run_worker(service: Service, pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the server says when to stop
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    end_with_parent()
    os.environ.update(ONE_THREAD_EACH)
    try:
        routes = service.load_routes()
    except (UserError, ImportError) as error:
        pipe.send(str(error))
        return
    pipe.send(None)
    while True:
        try:
            route, pair = pipe.recv()
        except EOFError:
            return
        pipe.send(_do_work(routes[route], pair))


def _do_work(work: Work, pair: PairBytes) -> dict[str, Any] | tuple[int, str, str]:
    """The result, or the arguments of a `RefusedItem`; no text of an unknown exception leaves the worker."""
    try:
        return work(pair)
    except ImageError as error:
        return 413 if error.reason == "too_large" else 422, error.reason, str(error)
    except AgentFailure as error:
        return 502, f"agent_{error.status}", str(error)
    except UserError as error:
        return 422, "bad_request", str(error)
    except MemoryError:
        return 503, "no_memory", "There is too little memory for this pair."
    except Exception as error:
        return 500, "internal", f"The work failed ({type(error).__name__})."
