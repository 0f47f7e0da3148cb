from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from proxy.config.patches import PATCHES, PatchName, usual_patches
from proxy.config.provider_schema import WireDialect
from tests.config.texts import loaded, mistakes


def test_each_name_belongs_to_a_dialect() -> None:
    assert {name for names in PATCHES.values() for name in names} == set(get_args(PatchName))
    assert tuple(PATCHES) == get_args(WireDialect)


@pytest.mark.parametrize(
    ("dialect", "address", "found"),
    [
        ("messages", "https://api.anthropic.com/v1", ()),
        ("messages", "https://anthropic.com/v1", ()),
        ("messages", "https://api.anthropic.com.example/v1", ("no-billing-header",)),
        ("messages", "https://notanthropic.com/v1", ("no-billing-header",)),
        ("messages", "http://127.0.0.1:8000/v1", ("no-billing-header",)),
        ("chat", "http://127.0.0.1:8000/v1", ()),
    ],
)
def test_the_billing_header_goes_to_anthropic_only(dialect: str, address: str, found: tuple[str, ...]) -> None:
    assert usual_patches(dialect, address) == found


def test_patches_are_settings_of_a_dialect_and_of_a_model(tmp_path: Path) -> None:
    text = (
        "providers: {p: {baseUrl: http://p, dialects: {chat: {patches: [max-tokens, short-tool-ids]}}}}\n"
        "models: [{name: a, provider: p, patches: []}, {name: b, provider: p, patches: [developer-as-system]}]"
    )
    config = loaded(tmp_path, text).config
    assert config.providers["p"].dialects.chat.patches == ["max-tokens", "short-tool-ids"]  # type: ignore[union-attr]
    assert [model.patches for model in config.models] == [[], ["developer-as-system"]]


@pytest.mark.parametrize(
    ("dialects", "expected"),
    [
        (
            "chat: {patches: [max-token]}",
            'chat.patches[0]: expected one of "developer-as-system", "function-tools-only", "max-completion-tokens",'
            ' "max-tokens", "no-billing-header", "no-stream-options", "random-seed", "reasoning-with-calls", "short-tool-ids",'
            ' got "max-token"',
        ),
        (
            "messages: {patches: [max-tokens]}",
            'messages.patches: "max-tokens" is no patch of this dialect; it has no-billing-header',
        ),
        ("gemini: {patches: [max-tokens]}", 'gemini.patches: "max-tokens" is no patch of this dialect; it has none'),
        (
            "chat: {patches: [max-tokens, max-completion-tokens]}",
            "chat.patches: max-tokens and max-completion-tokens are opposites; keep the one that the provider needs",
        ),
    ],
)
def test_a_patch_that_cannot_work_is_a_mistake(tmp_path: Path, dialects: str, expected: str) -> None:
    (line,) = mistakes(tmp_path, f"providers: {{p: {{baseUrl: http://p, dialects: {{{dialects}}}}}}}")
    assert line.startswith(f"config.yaml: providers.p.dialects.{expected[:60]}")
    assert line == f"config.yaml: providers.p.dialects.{expected}"


def test_opposite_patches_of_a_model_are_a_mistake(tmp_path: Path) -> None:
    model = "{name: a, provider: p, patches: [max-completion-tokens, max-tokens]}"
    assert mistakes(tmp_path, f"providers: {{p: {{baseUrl: http://p}}}}\nmodels: [{model}]") == [
        "config.yaml: models[0].patches: max-tokens and max-completion-tokens are opposites;"
        " keep the one that the provider needs"
    ]
