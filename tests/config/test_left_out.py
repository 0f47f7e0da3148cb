from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from proxy.config.known_providers import KNOWN_PROVIDERS
from proxy.config.left_out import Absence, LeftOutModel, absences, left_out, summary
from proxy.config.provider_schema import ModelSettings
from tests.config import texts
from tests.config.files import Files, loaded, mistakes

ROOT = Path(__file__).resolve().parents[2]


def test_a_missing_key_sends_none_and_an_empty_key_omits_the_provider(files: Files) -> None:
    path = files(
        "providers:\n"
        "  keyless: {baseUrl: http://a}\n"
        "  blank: {baseUrl: http://b, apiKey: }\n"
        "  empty: {baseUrl: http://c, apiKey: ''}\n"
    )
    found = loaded(path)
    assert list(found.config.providers) == ["keyless"]
    assert found.config.providers["keyless"].api_key is UNSET
    assert found.notices == [
        'provider "blank" left out: its apiKey is empty',
        'provider "empty" left out: its apiKey is empty',
    ]


def test_a_key_of_several_variables_needs_all_of_them(files: Files) -> None:
    path = files("providers: {a: {baseUrl: http://a, apiKey: '${ONE}-${TWO}'}}")
    assert loaded(path, ONE="1", TWO="2").config.providers["a"].api_key == "1-2"
    assert loaded(path, ONE="1").notices == ['provider "a" left out: its apiKey is empty (set ONE and TWO)']


def test_empty_keys_of_several_are_dropped_with_a_notice(files: Files) -> None:
    path = files(
        "providers: {a: {baseUrl: http://a, apiKey: '${ONE}', apiKeys: ['${TWO}', three, '${FOUR:-}', three]}}"
    )
    found = loaded(path, TWO="two")
    assert found.config.providers["a"].keys == ("two", "three")
    assert found.notices == ['provider "a" goes without apiKey and apiKeys[2]: empty (set ONE and FOUR)']
    assert loaded(path, ONE="1", TWO="2", FOUR="4").notices == []


@pytest.mark.parametrize(
    ("keys", "notice"),
    [
        ("apiKeys: ['${ONE}', '${TWO}']", "its apiKeys are empty (set ONE and TWO)"),
        ("apiKey: '${ONE}', apiKeys: ['${ONE}', '']", "its apiKey and apiKeys are empty (set ONE)"),
        ("apiKeys: []", "its apiKeys are empty"),
        ("apiKeys: ", "its apiKeys are empty"),
        ("apiKey: , apiKeys: []", "its apiKey and apiKeys are empty"),
    ],
)
def test_a_provider_with_only_empty_keys_is_omitted(files: Files, keys: str, notice: str) -> None:
    found = loaded(files(f"providers: {{a: {{baseUrl: 'https://${{NOBODY}}', {keys}}}}}"))
    assert (found.config.providers, found.notices) == ({}, [f'provider "a" left out: {notice}'])


def test_an_empty_key_beside_a_full_list_keeps_the_provider(files: Files) -> None:
    found = loaded(files("providers: {a: {baseUrl: http://a, apiKey: '', apiKeys: [k]}}"))
    assert found.config.providers["a"].keys == ("k",)


def test_a_disabled_provider_is_silent_but_its_models_are_reported(files: Files) -> None:
    path = files(
        "providers: {a: {enabled: '${ON:-false}', baseUrl: http://a}, b: {baseUrl: http://b}}\n"
        "models: [{name: x, provider: a}, {name: y, provider: b}, {name: z, provider: a}]\n"
        "defaultProvider: a\nrouting: {fallback: {enabled: false, provider: a, model: x}}\n"
    )
    found = loaded(path)
    assert (list(found.config.providers), [m.name for m in found.config.models]) == (["b"], ["y"])
    assert (found.config.default_provider, found.config.routing.fallback) == ("", None)
    assert found.notices == [
        'defaultProvider left out: provider "a" is disabled (set providers.a.enabled to true)',
    ]
    assert summary(found.left_out) == [
        f"{path}: 2 models of a left out: it is disabled (set providers.a.enabled to true)"
    ]
    assert loaded(path, ON="true").config.default_provider == "a"


def test_variables_of_an_unused_provider_may_be_unset(files: Files) -> None:
    path = files(
        "providers:\n"
        "  unused: {enabled: false, baseUrl: 'https://${REGION}.example.com', headers: {X: '${NOBODY}'}}\n"
        "  keyless: {apiKey: '${KEY}', baseUrl: 'https://${REGION}.example.com'}\n"
    )
    assert loaded(path).config.providers == {}
    assert mistakes(path, {"KEY": "k"}) == [
        "config.yaml: providers.keyless.baseUrl: not set in the environment: REGION"
    ]


def test_other_mistakes_of_an_unused_provider_are_reported(files: Files) -> None:
    assert mistakes(files("providers: {unused: {enabled: false, baseUrl: nowhere, tls: {verify: 3}}}")) == [
        "config.yaml: providers.unused.baseUrl: expected a URL that begins with http:// or https://",
        "config.yaml: providers.unused.tls.verify: expected true or false, got 3",
    ]


def test_an_unset_or_empty_list_of_keys_omits_the_provider(tmp_path: Path) -> None:
    text = "providers: {a: {baseUrl: http://a, apiKeys: '${K}'}}"
    for environ in ({}, {"K": ""}, {"K": "[]"}, {"K": '["", ""]'}):
        found = texts.loaded(tmp_path, text, **environ)
        assert found.config.providers == {}
        assert found.notices == ['provider "a" left out: its apiKeys are empty (set K)']


def test_the_shipped_models_are_omitted_with_only_a_local_server(tmp_path: Path) -> None:
    shipped = (ROOT / "config/config.yaml").read_text()
    (tmp_path / "models.yaml").write_text((ROOT / "config/models.yaml").read_text())
    found = texts.loaded(tmp_path, f"{shipped}\nproviders: {{ollama: }}\n", OPENROUTER_API_KEY="k")
    assert (list(found.config.providers), found.config.models, found.notices) == (["ollama"], [], [])
    assert summary(found.left_out) == [
        f"{tmp_path}/models.yaml: 4 models of openrouter left out: it is not configured (add openrouter to providers)",
        f"{tmp_path}/models.yaml: 2 models of deepseek left out: it is not configured (add deepseek to providers)",
    ]


def test_an_unconfigured_known_provider_is_not_a_fallback_or_default(tmp_path: Path) -> None:
    text = "providers: {ollama: }\nrouting: {fallback: {provider: xai, model: m}}\ndefaultProvider: xai\n"
    found = texts.loaded(tmp_path, text)
    assert (found.config.routing.fallback, found.config.default_provider) == (None, "")
    assert found.notices == [
        'routing.fallback left out: provider "xai" is not configured (add xai to providers)',
        'defaultProvider left out: provider "xai" is not configured (add xai to providers)',
    ]


# -- single functions -----------------------------------------------------------------------------

DISABLED = Absence("is disabled", "set providers.a.enabled to true")


@pytest.mark.parametrize(
    ("label", "file"),
    [
        ("config/models.yaml", "models.yaml"),
        ("/etc/sluice/config.yaml", "config.yaml"),
        ("https://host.example/models?token=secret", "the list of models"),
    ],
)
def test_clients_see_neither_the_path_nor_the_url_of_a_list(label: str, file: str) -> None:
    assert LeftOutModel("m", "m", "a", label, DISABLED).file == file


def test_models_of_absent_providers_are_omitted_with_the_reason() -> None:
    models = [ModelSettings(name="x", provider="a", model="vendor/x"), ModelSettings(name="y", provider="b")]
    assert [*left_out(models, {"a": DISABLED}, "models.yaml")] == [
        LeftOutModel("x", "vendor/x", "a", "models.yaml", DISABLED)
    ]


def test_the_summary_has_one_line_for_each_provider_and_file() -> None:
    other = Absence("has no key", "set K")
    models = [
        LeftOutModel("x", "x", "a", "one.yaml", DISABLED),
        LeftOutModel("y", "y", "b", "one.yaml", other),
        LeftOutModel("z", "z", "a", "one.yaml", DISABLED),
        LeftOutModel("x", "x", "a", "two.yaml", DISABLED),
    ]
    assert summary(models) == [
        "one.yaml: 2 models of a left out: it is disabled (set providers.a.enabled to true)",
        "one.yaml: 1 model of b left out: it has no key (set K)",
        "two.yaml: 1 model of a left out: it is disabled (set providers.a.enabled to true)",
    ]


@given(
    st.dictionaries(
        st.text(max_size=4) | st.integers(),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.just("${K}"),
            lambda inner: (
                st.lists(inner, max_size=2)
                | st.dictionaries(st.sampled_from(["apiKey", "apiKeys", "enabled", "x"]), inner, max_size=3)
            ),
            max_leaves=6,
        ),
        max_size=3,
    )
)
def test_any_section_of_providers_is_read_without_an_error(providers: dict[object, object]) -> None:
    # Its mistakes are reported by the full reading.
    absent, notices = absences(providers, {"K": ""})
    assert {*KNOWN_PROVIDERS} - {*absent} <= {*providers}
    assert all(notice.isprintable() for notice in notices)
