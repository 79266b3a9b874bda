"""Processes that a command starts: none of them outlives it, and it starts none where memory is too short."""

from __future__ import annotations

import multiprocessing
import os
import resource
import threading
from functools import cache
from multiprocessing import forkserver, resource_tracker, util

from mos.errors import UserError

NEEDED_BYTES = 3_000_000_000
"""Address space that numpy, scipy, Arrow and OpenCV take with one thread each, and room for a large image."""

ONE_THREAD_EACH = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENCV_FOR_THREADS_NUM": "1"}
"""Environment in which these libraries start no threads of their own."""

_LIMITS = {"ulimit -v": resource.RLIMIT_AS, "ulimit -d": resource.RLIMIT_DATA}


def require_address_space() -> None:
    """Check the limits of memory, before the numeric libraries are imported.

    With too little, OpenBLAS tries for ever to reserve its buffers while it is loaded, and others end the process: no
    exception can tell. Where there is a limit, the libraries are kept to one thread, so that what they need does not
    grow with the cores of the machine.

    Raises
    ------
    UserError
        A limit is below `NEEDED_BYTES`.
    """
    for command, limit in _LIMITS.items():
        allowed, _ = resource.getrlimit(limit)
        if allowed == resource.RLIM_INFINITY:
            continue
        if allowed < NEEDED_BYTES:
            raise UserError(
                f"The memory of this process is limited to {allowed / 1e6:,.0f} MB ({command}), and its libraries need "
                f"{NEEDED_BYTES / 1e6:,.0f} MB. Raise the limit."
            )
        for name, value in ONE_THREAD_EACH.items():
            os.environ.setdefault(name, value)


def end_with_parent() -> None:
    """End this worker process when its parent ends; a parent that was killed cannot tell its workers to stop."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@cache
def await_helpers_at_exit() -> None:
    """Let this process wait at its end for the servers that `multiprocessing` started beside the workers."""
    # After locks and queues, which need the tracker (priority 0), and before the server's socket goes (-100).
    util.Finalize(None, _stop_helpers, exitpriority=-50)


def _stop_helpers() -> None:
    forkserver._forkserver._stop()  # type: ignore[attr-defined]
    resource_tracker._resource_tracker._stop()  # type: ignore[attr-defined]
