"""The process that reads dead letters: what happens when it fails."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from proxy.control.events import letters
from proxy.control.events.letters import BrokerLetters, LettersUnavailable
from proxy.errors import GatewayError
from tests.support.gateway import to_config
from tests.support.patience import within

SECTIONS: dict[str, Any] = {"ledger": {"enabled": True}, "events": {"url": "amqp://user:secret-word@127.0.0.1:1"}}


class Live:
    def __init__(self, sections: dict[str, Any]) -> None:
        self.config = to_config(sections)


def reader(program: str, **sections: Any) -> BrokerLetters:
    live: Any = Live(SECTIONS | sections)
    return BrokerLetters(live, [sys.executable, "-c", program])


async def test_the_task_is_read_from_standard_input(tmp_path: Path) -> None:
    program = f"import sys; open({str(tmp_path / 'task')!r}, 'w').write(sys.stdin.read()); print('{{}}')"
    assert (await reader(program).send_again(frozenset({"e1"}))).moved == 0
    task = json.loads((tmp_path / "task").read_text())
    assert (task["again"], task["ids"]) == (True, ["e1"])
    assert task["broker"]["addresses"] == ["amqp://user:secret-word@127.0.0.1:1"]


async def test_a_large_answer_is_read_as_a_whole() -> None:
    body = "QUJD" * 1000
    letter = f'{{"id":"e","type":"t","queue":"q","reason":"r","at":1,"body":"{body}"}}'
    program = f"print('{{\"letters\": [' + ','.join(['{letter}'] * 500) + ']}}')"
    assert len((await reader(program).look(500)).letters) == 500


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ('print(\'{"error": "no connection to 127.0.0.1:1"}\')', "No connection to 127.0.0.1:1."),
        ("raise SystemExit(1)", "The process that reads them failed."),
        ("print('[]')", "The process that reads them failed."),
    ],
)
async def test_a_failure_is_an_error_with_its_reason(program: str, expected: str) -> None:
    with pytest.raises(LettersUnavailable) as caught:
        await reader(program).look(10)
    assert caught.value.message == f"The dead letters of the broker cannot be read. {expected}"
    assert caught.value.status == 503


async def test_a_process_that_hangs_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letters, "LIMIT_SECS", 0.2)
    with pytest.raises(LettersUnavailable):
        await within(reader("import signal; signal.pause()").look(10), "the answer")


async def test_a_program_that_is_missing_is_an_error_with_its_reason() -> None:
    live: Any = Live(SECTIONS)
    with pytest.raises(LettersUnavailable, match="No process can be started"):
        await BrokerLetters(live, ["/no/such/program"]).look(10)


async def test_without_a_broker_there_are_no_dead_letters() -> None:
    with pytest.raises(GatewayError) as caught:
        await reader("", events={}).look(10)
    assert (caught.value.status, caught.value.code) == (501, "no_broker")


async def test_the_real_process_says_why_it_cannot_read_them() -> None:
    live: Any = Live(SECTIONS)
    with pytest.raises(LettersUnavailable) as caught:
        await within(BrokerLetters(live).look(10), "the answer")
    assert "secret-word" not in caught.value.message
