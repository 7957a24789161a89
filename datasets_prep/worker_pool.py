"""Worker processes that take items in order, return results in order and never hold more than a few of them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import TypeVar

import cv2

from uml_in_arch.errors import DataError

Item = TypeVar("Item")
Result = TypeVar("Result")


class WorkerPool:
    """A pool of ``workers`` processes (default: one per core that this process may use).

    They are new processes that import the running script again.
    """

    def __init__(self, workers: int | None = None):
        self.workers = workers or usable_cores()
        # not forked: a copy of a process with threads (OpenCV, torch, tqdm) may wait for ever for a lock of theirs
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(self.workers, context, _start_worker, (os.getpid(),))
        self._pool.submit(int).result()  # so that the first task does not wait for the imports

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def map(
        self, function: Callable[[Item], Result], items: Iterable[Item], items_per_task: int = 1
    ) -> Iterator[Result]:
        """Yield ``function(item)`` for every item, in order.

        At most three tasks per worker are under way, so memory does not grow with the number of items.

        Raises:
            DataError: a worker process was killed. Anything ``function`` raises is raised here.
        """
        pending: deque[Future[list[Result]]] = deque()
        source = iter(items)
        try:
            while task := list(islice(source, items_per_task)):
                pending.append(self._pool.submit(_run_task, function, task))
                if len(pending) >= 3 * self.workers:
                    yield from pending.popleft().result()
            while pending:
                yield from pending.popleft().result()
        except BrokenProcessPool as error:
            raise DataError(
                "a worker process died (out of memory?): use fewer --workers and go on with --resume"
            ) from error
        finally:
            for future in pending:
                future.cancel()


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _run_task(function: Callable[[Item], Result], task: list[Item]) -> list[Result]:
    return [function(item) for item in task]


def _start_worker(parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops its workers
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process when ``parent`` is gone: a killed parent cannot stop its workers."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
