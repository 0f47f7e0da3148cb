"""Threads for work that would block the loop. They end as soon as no work waits."""

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

DEFAULT_LIMIT: Final = min(32, (os.cpu_count() or 1) + 4)  # threads at once, as in concurrent.futures


class Workers(Executor):
    """An executor of at most ``limit`` threads at once. Calls beyond it wait in order.

    ``ThreadPoolExecutor`` never ends a thread; here none is ever idle. The threads are daemons: a call that hangs
    delays the end of the process only if ``shutdown`` waits for it.
    """

    def __init__(self, limit: int = DEFAULT_LIMIT, name: str = "worker") -> None:
        """``name``: prefix of the threads' names."""
        self._limit = limit
        self._names = (f"{name}-{number}" for number in count(1))
        self._lock = Lock()  # of the attributes below
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
        """Accept no more calls. Accepted ones run, unless ``cancel_futures`` cancels those that have not begun.

        With ``wait``, return when all have ended, as every executor does: a call may be writing a file.
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
        """Run calls until none waits: the target of a thread."""
        while True:
            with self._lock:
                if not self._waiting:
                    self._threads.discard(current_thread())
                    return
                future, call = self._waiting.popleft()
            _complete(future, call)
            del future, call  # keep no result alive


def _complete(future: Future[T], call: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = call()
    except BaseException as error:
        future.set_exception(error)
        del future  # the traceback refers to this frame: a reference cycle otherwise
    else:
        future.set_result(result)
