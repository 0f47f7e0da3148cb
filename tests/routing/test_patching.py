from __future__ import annotations

from typing import Any

import pytest

from tests.support.catalogs import build

HOST = "http://127.0.0.1:1/v1"


def patched(provider: dict[str, Any], **model: Any) -> dict[str, list[str]]:
    (deployment,) = build([{"name": "m", "provider": "p"} | model], {"p": {"baseUrl": HOST} | provider}).deployments
    return {path: [patch.name for patch in patches] for path, patches in deployment.patches.items()}


@pytest.mark.parametrize("kind", ["openai", "azure", "gemini"])
def test_most_deployments_have_no_patches(kind: str) -> None:
    assert patched({"kind": kind}) == {}
    assert patched({"kind": "anthropic", "baseUrl": "https://api.anthropic.com/v1"}) == {}


def test_the_billing_header_is_left_out_for_all_but_anthropic() -> None:
    both = {"messages": ["no-billing-header"], "messages/count_tokens": ["no-billing-header"]}
    assert patched({"kind": "anthropic"}) == both
    assert patched({"dialects": {"messages": {}}}) == both
    assert patched({"dialects": {"messages": {"patches": []}}}) == {}
    assert patched({"dialects": {"messages": {"enabled": False}}}) == {}


def test_a_patch_applies_at_each_endpoint_of_its_dialect() -> None:
    chat = {"patches": ["no-stream-options", "max-tokens"]}
    assert patched({"dialects": {"chat": chat}}) == {
        "chat/completions": ["max-tokens", "no-stream-options"],
        "completions": ["no-stream-options"],
    }


def test_the_patches_of_a_model_replace_those_of_its_provider() -> None:
    provider = {"dialects": {"chat": {"patches": ["max-tokens"]}, "messages": {}}}
    assert patched(provider, patches=[]) == {}
    assert patched(provider, patches=["developer-as-system"]) == {
        "chat/completions": ["developer-as-system"],
        "responses": ["developer-as-system"],
    }


def test_a_catalog_knows_all_patches_that_a_body_may_need() -> None:
    catalog = build(
        [{"name": "m", "provider": "p", "patches": ["random-seed"]}],
        {"p": {"baseUrl": HOST}, "q": {"baseUrl": HOST, "dialects": {"chat": {"patches": ["max-tokens"]}}}},
    )
    names = {path: [patch.name for patch in patches] for path, patches in catalog.patches.items()}
    paths = ("messages", "messages/count_tokens", "responses", "generateContent", "streamGenerateContent")
    always = {path: ["own-reasoning"] for path in paths}
    assert names == {"chat/completions": ["random-seed", "max-tokens"], "completions": ["random-seed"]} | always


def test_patches_alone_do_not_make_another_site() -> None:
    catalog = build([], {"p": {"baseUrl": HOST, "dialects": {"chat": {"patches": ["max-tokens"]}}}})
    (site,) = catalog.providers["p"].sites
    assert site.speaking["chat"] is site.speaking["responses"] is site
