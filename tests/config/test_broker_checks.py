from __future__ import annotations

import pytest

from proxy.config.broker_checks import BrokerUrl, addresses, broker_url, exchange_name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "amqp://guest:guest@127.0.0.1:5672/",
        "amqps://u:p%2Fw@mq1,amqps://u:p%2Fw@mq2:5671/prod",
        "amqp://h/%2Fvirtual",
        "nats://a:4222, nats://b",
        "tls://a",
    ],
)
def test_addresses_that_are_accepted(text: str) -> None:
    assert broker_url(text) == text


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (",", "no address"),
        ("http://h", "begins with amqp"),
        ("amqp://a,nats://b", "same scheme"),
        ("amqp:///v", "no host"),
        ("nats://h/v", "no paths"),
        ("amqp://h/a/b", "%2F"),
        ("amqp://h/?x=1", "query"),
        ("amqp://u:p#w@h", "valid URL"),
        ("amqp://u:p%23w@h#x", "#"),
        ("amqp://u:p#w\\x@h", "valid URL"),
        ("amqp://u:p\\w@h", "percent-encode"),
    ],
)
def test_mistakes_are_told_without_the_password(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as told:
        broker_url(text)
    assert "p#w" not in str(told.value)


def test_no_password_is_shown() -> None:
    url = BrokerUrl("amqp://u:secret-1@a,amqp://u:secret-2@b:5673/v")
    assert url.shown == "amqp://********@a,amqp://********@b:5673/v"
    assert {"secret-1", "secret-2"} <= set(url.parts)
    assert addresses(url) == ["amqp://u:secret-1@a", "amqp://u:secret-2@b:5673/v"]


@pytest.mark.parametrize("text", ["sluice.events", "a", "a-b_1.c"])
def test_names_of_exchanges(text: str) -> None:
    assert exchange_name(text) == text


@pytest.mark.parametrize("text", ["a.", ".a", "a.*", "a b", "a.>"])
def test_names_that_are_no_subject_of_nats_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="full stops"):
        exchange_name(text)


def test_a_token_of_nats_is_secret_and_a_user_is_not() -> None:
    assert {"a%40token", "a@token"} <= set(BrokerUrl("nats://a%40token@a:4222").parts)
    assert "user" not in BrokerUrl("nats://user:password@a,nats://user:password@b").parts
    assert "user" not in BrokerUrl("amqp://user@a").parts
