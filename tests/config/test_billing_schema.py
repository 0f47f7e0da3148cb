"""The sections about money, as the loader reads them."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.config.secret import secrets_in
from proxy.config.standing import differences
from proxy.config.webhook_checks import WebhookUrl
from proxy.errors import ConfigError
from tests.support.gateway import to_config

LEDGER: dict[str, Any] = {"ledger": {"enabled": True}}  # which events wait in


def mistake(**webhook: Any) -> str:
    """The only mistake of a configuration with this webhook."""
    with pytest.raises(ConfigError) as found:
        to_config(LEDGER | {"events": {"webhooks": [webhook]}})
    (text,) = found.value.mistakes
    return text


def test_a_webhook_needs_only_its_address() -> None:
    source = {"events": {"webhooks": [{"url": "https://example.com/hook"}]}}
    (webhook,) = to_config(LEDGER | source).events.webhooks
    assert (webhook.url, webhook.secret, webhook.types) == ("https://example.com/hook", "", [])
    assert isinstance(webhook.url, WebhookUrl)


def test_the_secret_of_a_webhook_is_masked() -> None:
    config = to_config(LEDGER | {"events": {"webhooks": [{"url": "http://10.0.0.1/", "secret": "a-long-secret"}]}})
    assert "a-long-secret" in secrets_in(config)


@pytest.mark.parametrize(
    ("webhook", "text"),
    [
        ({"url": ""}, "url"),
        ({"url": "ftp://example.com/"}, "expected a URL that begins with http:// or https://"),
        ({"url": "https://user:pw@example.com/"}, "must not contain a user or password"),
        ({"url": "https://example.com/", "secret": "whsec_?"}, "begins with whsec_, so base64 must follow"),
        ({"url": "https://example.com/", "types": ["budget"]}, "types"),
        ({"secret": "s"}, "url"),
    ],
)
def test_a_webhook_that_cannot_be_meant(webhook: dict[str, Any], text: str) -> None:
    assert text in mistake(**webhook)


def test_a_proxy_that_a_webhook_needs_is_checked() -> None:
    webhooks = LEDGER | {"events": {"webhooks": [{"url": "https://example.com/"}]}}
    with pytest.raises(ConfigError, match="HTTPS_PROXY"):
        to_config(webhooks, {"HTTPS_PROXY": "ftp://nowhere"})
    to_config(webhooks, {"HTTPS_PROXY": "ftp://nowhere", "NO_PROXY": "example.com"})


def test_webhooks_are_replaced_by_a_reload() -> None:
    webhooks = {"events": {"webhooks": [{"url": "https://example.com/"}]}}
    assert differences(to_config(LEDGER), to_config(LEDGER | webhooks)) == []


@pytest.mark.parametrize("section", ["ledger", "database"])
def test_webhooks_need_the_database_that_events_wait_in(section: str) -> None:
    webhooks = {"events": {"webhooks": [{"url": "https://example.com/"}]}}
    with pytest.raises(ConfigError) as found:
        to_config(LEDGER | webhooks | {section: {"enabled": False}})
    text = "events.webhooks: need ledger.enabled, and database.enabled, where events wait to be sent"
    (mistake_,) = found.value.mistakes
    assert mistake_.endswith(text)


def test_budgets_have_three_thresholds_unless_configured() -> None:
    budgets = [{"name": "a", "usd": 1}, {"name": "b", "usd": 1, "thresholds": []}]
    assert [each.thresholds for each in to_config({"budgets": budgets}).budgets] == [[50, 80, 100], []]
