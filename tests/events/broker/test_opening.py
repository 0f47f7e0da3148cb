"""Brokers are imported when they are used."""

from __future__ import annotations

import subprocess
import sys

import pytest

from proxy.events.broker.opening import missing_broker_package

CODE = """
import sys
import proxy.events.sending.opening, proxy.ledger.recorder.process
from proxy.events.broker.opening import open_publisher
from proxy.events.settings import BrokerSettings
if len(sys.argv) > 1:
    open_publisher(BrokerSettings((sys.argv[1],)), print, print)
print(sorted({"aiormq", "aio_pika", "nats", "pamqp"} & set(sys.modules)))
"""


@pytest.mark.parametrize(
    ("arguments", "imported"),
    [([], "[]"), (["amqp://127.0.0.1/"], "['aiormq', 'pamqp']"), (["nats://127.0.0.1"], "['nats']")],
)
def test_only_the_package_of_the_broker_is_imported(arguments: list[str], imported: str) -> None:
    ran = subprocess.run([sys.executable, "-c", CODE, *arguments], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == imported


@pytest.mark.parametrize("url", ["amqp://h", "amqps://h", "nats://h", "tls://h"])
def test_no_package_is_missing_here(url: str) -> None:
    assert missing_broker_package(url) == ""


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.events.broker.opening.find_spec", lambda _: None)
    assert missing_broker_package("amqps://h") == (
        "events.url needs a package that is not installed: pip install 'sluice-gateway[amqp]'"
    )
