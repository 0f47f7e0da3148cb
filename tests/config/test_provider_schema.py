from __future__ import annotations

from typing import Any

import pytest
from msgspec import UNSET

from proxy.config.address_schema import ProviderAddress
from proxy.config.provider_schema import ModelSettings, ProviderSettings
from tests.config.files import Files, loaded, mistakes


def addresses(*urls: str) -> list[ProviderAddress]:
    return [ProviderAddress(url) for url in urls]


def test_a_provider_may_have_several_addresses(files: Files) -> None:
    path = files(
        "providers:\n"
        "  a: {baseUrl: http://a/, baseUrls: [http://b/v1/, 'http://${B}', http://a]}\n"
        "  b: {baseUrls: [http://c]}\n"
    )
    providers = loaded(path, B="b2").config.providers
    assert providers["a"].addresses == ("http://a", "http://b/v1", "http://b2")
    assert providers["b"].addresses == ("http://c",)


def test_an_address_may_have_a_weight_a_priority_and_a_region(files: Files) -> None:
    text = "[http://a, {url: http://b/, weight: 0.5, priority: 1, region: eu}, {url: http://a, weight: 9}]"
    found = loaded(files(f"providers: {{p: {{baseUrls: {text}}}}}")).config.providers["p"]
    assert found.entries == (ProviderAddress("http://a"), ProviderAddress("http://b", 0.5, 1, "eu"))


def test_addresses_may_come_from_one_variable(files: Files) -> None:
    path = files("providers: {p: {baseUrls: '${URLS}'}}")
    assert loaded(path, URLS="http://a/, service://llm").config.providers["p"].addresses == (
        "http://a",
        "service://llm",
    )
    (mistake,) = mistakes(path, {"URLS": "http://a,x"})
    assert mistake == "config.yaml: providers.p.baseUrls: expected a URL that begins with http:// or https://"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("service://llm", "service://llm"),
        ("service://llm/v1/", "service://llm/v1"),
        ("service://llm/", "service://llm"),
    ],
)
def test_a_provider_may_take_its_addresses_from_a_service(files: Files, address: str, expected: str) -> None:
    text = f"services: {{llm: {{addresses: [http://a]}}}}\nproviders: {{p: {{baseUrl: '{address}'}}}}"
    found = loaded(files(text))
    provider = found.config.providers["p"]
    assert (provider.addresses, provider.services, found.notices) == ((expected,), ("llm",), [])


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("service://", "a service's name may contain only letters, digits, dots, dashes and underscores"),
        ("service://a b", "a service's name may contain only letters, digits, dots, dashes and underscores"),
        ("service://llm/a b", "has a character that must be percent-encoded"),
        ("service://llm/../v1", "must not contain empty or dot segments"),
        ("service://llm?x=1", "a service's name may contain only letters, digits, dots, dashes and underscores"),
    ],
)
def test_a_wrong_address_of_a_service_is_one_readable_line(files: Files, address: str, text: str) -> None:
    assert mistakes(files(f"providers: {{p: {{baseUrl: '{address}'}}}}")) == [
        f"config.yaml: providers.p.baseUrl: {text}"
    ]


def test_only_providers_take_addresses_from_a_service(files: Files) -> None:
    (mistake,) = mistakes(files("services: {a: {addresses: ['service://b']}}"))
    assert mistake == "config.yaml: services.a.addresses[0]: expected a URL that begins with http:// or https://"


@pytest.mark.parametrize(
    ("services", "hint"),
    [("{}", "; it has no address until one is added"), ("{llms: {}}", '; did you mean "llms"?')],
)
def test_a_service_that_is_not_configured_may_come_later(files: Files, services: str, hint: str) -> None:
    found = loaded(files(f"services: {services}\nproviders: {{p: {{baseUrl: service://llm}}}}"))
    assert found.notices == [f'providers.p: no service "llm" is configured{hint}']


@pytest.mark.parametrize(
    ("settings", "keys", "keyless"),
    [
        ({}, (), True),
        ({"api_key": ""}, (), False),
        ({"api_keys": []}, (), False),
        ({"api_key": "a"}, ("a",), False),
        ({"api_key": "a", "api_keys": ["b", "", "a"]}, ("a", "b"), False),
        ({"api_keys": ["b", "c", "b"]}, ("b", "c"), False),
    ],
)
def test_keys_are_without_duplicates_and_empty_ones(
    settings: dict[str, Any], keys: tuple[str, ...], keyless: bool
) -> None:
    found = ProviderSettings(**settings)
    assert (found.keys, found.keyless) == (keys, keyless)


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({}, "openai"),
        ({"base_url": "https://api.openai.com/v1"}, "openai"),
        ({"base_url": "https://RES.OpenAI.Azure.com:443/openai"}, "azure"),
        ({"base_urls": addresses("https://a.services.ai.azure.com", "https://b.example")}, "azure"),
        ({"base_urls": addresses("https://b.example", "https://a.services.ai.azure.com")}, "openai"),
        ({"base_url": "service://api.anthropic.com/v1"}, "openai"),
        ({"base_url": "https://host.example/x.openai.azure.com"}, "openai"),
        ({"base_url": "https://a.services.ai.azure.com/anthropic/v1"}, "anthropic"),
        ({"base_url": "https://europe-west4-aiplatform.googleapis.com/v1/projects/p/locations/europe-west4"}, "vertex"),
        ({"base_url": "https://aiplatform.googleapis.com/v1/projects/p/locations/global"}, "vertex"),
        ({"base_url": "https://aiplatform.eu.rep.googleapis.com/v1/projects/p/locations/eu"}, "vertex"),
        ({"base_url": "https://aiplatform.googleapis.com/v1/projects/p/locations/l/endpoints/openapi"}, "openai"),
        ({"base_url": "https://aiplatform.googleapis.com.example/v1"}, "openai"),
        ({"base_url": "https://bedrock-runtime.us-east-1.amazonaws.com/openai/v1"}, "bedrock"),
        ({"base_url": "https://bedrock-mantle.eu-west-1.api.aws/v1"}, "bedrock"),
        ({"base_url": "https://vpce-1.bedrock-runtime.us-east-1.vpce.amazonaws.com/openai/v1"}, "bedrock"),
        ({"base_url": "https://host.example", "kind": "azure"}, "azure"),
        ({"base_url": "https://res.openai.azure.com", "kind": "openai"}, "openai"),
    ],
)
def test_the_kind_is_that_of_the_first_addresss_host_unless_it_is_configured(
    settings: dict[str, Any], kind: str
) -> None:
    assert ProviderSettings(**settings).kind_name == kind


@pytest.mark.parametrize(("model", "upstream"), [("", "gpt"), ("vendor/gpt", "vendor/gpt")])
def test_the_name_at_the_provider_is_that_for_clients_unless_it_is_configured(model: str, upstream: str) -> None:
    assert ModelSettings(name="gpt", provider="p", model=model).upstream_model == upstream


@pytest.mark.parametrize(("settings", "kind"), [({}, "chat"), ({"type": "embedding"}, "embedding")])
def test_a_model_without_a_type_is_for_chat(settings: dict[str, Any], kind: str) -> None:
    assert ModelSettings(name="gpt", provider="p", **settings).kind == kind


def with_capabilities(text: str) -> str:
    return f"providers: {{p: {{baseUrl: http://p}}}}\nmodels: [{{name: a, provider: p, capabilities: {text}}}]"


def test_a_model_may_say_what_it_takes(files: Files) -> None:
    text = "{like: gpt-4o, efforts: [low, high], lateSystem: false, cacheMarks: cache_control}"
    (model,) = loaded(files(with_capabilities(text))).config.models
    own = model.capabilities
    assert (own.like, own.efforts, own.late_system, own.cache_marks) == (
        "gpt-4o",
        ["low", "high"],
        False,
        "cache_control",
    )
    assert (own.sampling, own.thinking) == (UNSET, UNSET)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "{efforts: [ultra]}",
            '.efforts[0]: expected one of "high", "low", "max", "medium", "minimal", "none", "xhigh", got "ultra"',
        ),
        ("{efforts: high}", ".efforts: expected a list, got text"),
        ("{sampling: 1}", ".sampling: expected true or false, got 1"),
        ("{thinking: always}", '.thinking: expected one of "adaptive", "both", "budget", "none", got "always"'),
        ("{late_system: true}", ': unknown key "late_system"; did you mean "lateSystem"?'),
    ],
)
def test_a_wrong_capability_is_one_readable_line(files: Files, text: str, expected: str) -> None:
    (line,) = mistakes(files(with_capabilities(text)))
    assert line == f"config.yaml: models[0].capabilities{expected}"
