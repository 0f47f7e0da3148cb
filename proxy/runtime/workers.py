"""Threads for what would hold the loop, which end as soon as no work waits."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from itertools import count
from threading import Lock, Thread, current_thread
from typing import Any, Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

USUAL: Final = min(32, (os.cpu_count() or 1) + 4)  # threads at once, as concurrent.futures has it


class Workers(Executor):
    """At most ``limit`` threads at once; what is submitted beyond it waits in order.

    ``ThreadPoolExecutor`` keeps each thread for ever. Here one is started for work, and none is ever idle.
    They are daemons: a call that hangs holds the end of the process only for who shuts down and waits for it.
    """

    def __init__(self, limit: int = USUAL, name: str = "worker") -> None:
        """``name`` begins the names of the threads."""
        self._limit = limit
        self._names = (f"{name}-{number}" for number in count(1))
        self._lock = Lock()  # of what follows
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._threads: set[Thread] = set()
        self._closed = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Raises RuntimeError after ``shutdown``."""
        future: Future[T] = Future()
        call = partial(fn, *args, **kwargs)
        with self._lock:
            if self._closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._waiting.append((future, call))
            if len(self._threads) < self._limit:
                thread = Thread(target=self._work, name=next(self._names), daemon=True)
                thread.start()
                self._threads.add(thread)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more work. What was taken is done, but with ``cancel_futures`` what has not begun is cancelled.

        ``wait`` returns when all of it is over, as every executor does: what ``asyncio.to_thread`` began may be
        writing a file.
        """
        with self._lock:
            self._closed = True
            threads = list(self._threads)
            dropped = list(self._waiting) if cancel_futures else []
            if cancel_futures:
                self._waiting.clear()
        for future, _ in dropped:
            future.cancel()
        if wait:
            for thread in threads:
                thread.join()

    def _work(self) -> None:
        """The whole life of a thread."""
        while True:
            with self._lock:
                if not self._waiting:
                    self._threads.discard(current_thread())
                    return
                future, call = self._waiting.popleft()
            _settle(future, call)
            del future, call  # what came of it belongs to whoever waited


def _settle(future: Future[T], call: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = call()
    except BaseException as error:
        future.set_exception(error)
        del future  # the error's traceback knows this frame: they would hold each other
    else:
        future.set_result(result)
