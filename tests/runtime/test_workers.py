"""Threads that end as soon as no work waits."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future, wait
from pathlib import Path

import pytest

from proxy.runtime.workers import Workers
from tests.support.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[2]


class Gate:
    """Work that has begun when it says so, and ends when it is opened."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.open = threading.Event()

    def pass_through(self) -> threading.Thread:
        self.begun.release()
        assert self.open.wait(PATIENCE)
        return threading.current_thread()

    def await_begun(self, count: int = 1) -> None:
        for _ in range(count):
            assert self.begun.acquire(timeout=PATIENCE)


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.open.set()


def over(thread: threading.Thread) -> bool:
    thread.join(PATIENCE)
    return not thread.is_alive()


def test_the_result_is_what_the_call_returns() -> None:
    assert Workers().submit(divmod, 7, 2).result(PATIENCE) == (3, 1)
    assert Workers().submit(sorted, [1, 2], reverse=True).result(PATIENCE) == [2, 1]


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3)])
def test_an_exception_of_a_call_is_raised_and_the_next_one_runs(error: BaseException) -> None:
    def fail() -> None:
        raise error

    workers = Workers(1)
    failed, after = workers.submit(fail), workers.submit(int, "1")
    assert failed.exception(PATIENCE) is error
    assert after.result(PATIENCE) == 1


def test_a_thread_ends_when_no_work_waits() -> None:
    workers = Workers()
    for _ in range(3):
        assert over(workers.submit(threading.current_thread).result(PATIENCE))


def test_threads_do_not_exceed_the_limit_and_take_waiting_calls(gate: Gate) -> None:
    workers = Workers(2)
    running = [workers.submit(gate.pass_through) for _ in range(5)]
    gate.await_begun(2)
    assert not gate.begun.acquire(blocking=False)
    assert [future.running() for future in running] == [True, True, False, False, False]
    gate.open.set()
    threads = {future.result(PATIENCE) for future in running}
    assert len(threads) <= 2
    assert all(over(thread) for thread in threads)


def test_a_call_may_submit_a_call() -> None:
    workers = Workers(1)

    def ask() -> Future[int]:
        return workers.submit(int, "1")

    assert workers.submit(ask).result(PATIENCE).result(PATIENCE) == 1


def test_a_call_canceled_while_it_waits_never_runs(gate: Gate) -> None:
    workers, ran = Workers(1), threading.Event()
    first, second = workers.submit(gate.pass_through), workers.submit(ran.set)
    gate.await_begun()
    assert not first.cancel()
    assert second.cancel()
    gate.open.set()
    assert over(first.result(PATIENCE))
    assert not ran.is_set()


def test_a_result_is_kept_alive_only_by_its_future() -> None:
    class Failure(Exception):
        pass

    def fail() -> None:
        raise Failure

    gc.disable()
    try:
        future = Workers().submit(fail)
        known = weakref.ref(future.exception(PATIENCE))
        assert all(over(thread) for thread in threading.enumerate() if thread.name.startswith("worker-"))
        del future
        assert known() is None
    finally:
        gc.enable()


# -- the end --------------------------------------------------------------------------------------


def test_after_a_shutdown_no_call_is_accepted() -> None:
    workers = Workers()
    workers.shutdown()
    with pytest.raises(RuntimeError, match="after shutdown"):
        workers.submit(int)


def test_a_shutdown_waits_for_accepted_calls(gate: Gate) -> None:
    workers = Workers(1)
    running = [workers.submit(gate.pass_through) for _ in range(3)]
    gate.await_begun()
    ending = threading.Thread(target=workers.shutdown)
    ending.start()
    assert not any(future.done() for future in running)
    gate.open.set()
    assert over(ending)
    assert all(future.done() for future in running)
    assert not any(future.result().is_alive() for future in running)


def test_a_shutdown_need_not_wait(gate: Gate) -> None:
    workers = Workers(1)
    first, second = workers.submit(gate.pass_through), workers.submit(int, "1")
    gate.await_begun()
    workers.shutdown(wait=False)
    assert not first.done()
    gate.open.set()
    assert second.result(PATIENCE) == 1


def test_a_shutdown_can_cancel_calls_that_have_not_begun(gate: Gate) -> None:
    workers = Workers(1)
    first, second = workers.submit(gate.pass_through), workers.submit(int, "1")
    gate.await_begun()
    workers.shutdown(wait=False, cancel_futures=True)
    with pytest.raises(CancelledError):
        second.result(PATIENCE)
    gate.open.set()
    assert over(first.result(PATIENCE))


def test_a_call_that_hangs_does_not_delay_the_end_of_the_process() -> None:
    hanging = "import threading; from proxy.runtime.workers import Workers; Workers().submit(threading.Event().wait)"
    subprocess.run([sys.executable, "-c", hanging], cwd=ROOT, check=True, timeout=6 * PATIENCE)


def test_concurrent_submits_lose_no_call() -> None:
    workers, parts = Workers(4), 8
    heard: list[list[Future[int]]] = [[] for _ in range(parts)]

    def submit(into: list[Future[int]]) -> None:
        into.extend(workers.submit(int, number) for number in range(200))

    submitting = [threading.Thread(target=submit, args=(into,)) for into in heard]
    for thread in submitting:
        thread.start()
    assert all(over(thread) for thread in submitting)
    assert not wait([future for into in heard for future in into], PATIENCE).not_done
    assert all([future.result() for future in into] == list(range(200)) for into in heard)
