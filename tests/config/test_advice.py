"""Keys and addresses in the notation of other tools."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.config.advice import key_mistake
from proxy.config.loader import load
from proxy.errors import ConfigError


def mistakes(folder: Path, text: str, **environ: str) -> list[str]:
    (folder / "c.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(folder / "c.yaml", environ)
    return [line.removeprefix(f"{folder}/c.yaml: ") for line in caught.value.mistakes]


def notices(folder: Path, text: str, **environ: str) -> list[str]:
    (folder / "c.yaml").write_text(text)
    return load(folder / "c.yaml", environ).notices


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ('"sk-1"', "contains quotes, which would be sent as part of it; remove them"),
        ("'sk-1'", "contains quotes, which would be sent as part of it; remove them"),
        ('sk-1"', "contains quotes, which would be sent as part of it; remove them"),
        ("Bearer sk-1", 'begins with "Bearer ", which the gateway adds; write the key alone'),
        ("bearer sk-1", 'begins with "Bearer ", which the gateway adds; write the key alone'),
        ("Authorization: Bearer sk-1", 'begins with "Bearer ", which the gateway adds; write the key alone'),
        ("$GROQ_API_KEY", 'is the name of a variable; write "${GROQ_API_KEY}"'),
        ("%GROQ_API_KEY%", 'is the name of a variable; write "${GROQ_API_KEY}"'),
        ("os.environ/GROQ_API_KEY", 'is the name of a variable; write "${GROQ_API_KEY}"'),
        ("process.env.GROQ_API_KEY", 'is the name of a variable; write "${GROQ_API_KEY}"'),
        ("env:GROQ_API_KEY", 'is the name of a variable; write "${GROQ_API_KEY}"'),
    ],
)
def test_a_key_with_quotes_or_bearer_is_a_mistake(tmp_path: Path, key: str, expected: str) -> None:
    assert mistakes(tmp_path, "providers: {a: {baseUrl: http://a, apiKey: '${K}'}}", K=key) == [
        f"providers.a.apiKey: {expected}"
    ]
    assert mistakes(tmp_path, "providers: {a: {baseUrl: http://a, apiKeys: [k, '${K}']}}", K=key) == [
        f"providers.a.apiKeys: {expected}"
    ]


def test_a_mistake_in_a_key_of_the_environment_names_its_variable(tmp_path: Path) -> None:
    assert mistakes(tmp_path, "{}", OPENAI_API_KEY="Bearer sk-1") == [
        'environment: OPENAI_API_KEY: begins with "Bearer ", which the gateway adds; write the key alone'
    ]


@pytest.mark.parametrize("key", ["sk-proj-abc", "gsk_$1", "a$B", "bearer", "xai-1=", "env", "$", "ey.a.b/c+d=="])
def test_a_valid_key_is_accepted_unchanged(key: str) -> None:
    assert key_mistake(key) == ""


@pytest.mark.parametrize(
    ("address", "tail", "right"),
    [
        ("https://api.openai.com/v1/chat/completions", "/chat/completions", "https://api.openai.com/v1"),
        ("http://a/v1/chat/completions/", "/chat/completions", "http://a/v1"),
        ("http://a/v1/embeddings", "/embeddings", "http://a/v1"),
        ("http://a/responses", "/responses", "http://a"),
    ],
)
def test_an_address_that_ends_in_an_endpoint_is_a_mistake(tmp_path: Path, address: str, tail: str, right: str) -> None:
    text = f"ends with {tail}, which the gateway appends; write {right}"
    assert mistakes(tmp_path, f"providers: {{a: {{baseUrl: '{address}'}}}}") == [f"providers.a.baseUrl: {text}"]
    assert mistakes(tmp_path, f"providers: {{a: {{baseUrls: ['{address}']}}}}") == [f"providers.a.baseUrls: {text}"]


@pytest.mark.parametrize(
    ("name", "address", "right"),
    [
        ("openai", "https://api.openai.com", "https://api.openai.com/v1"),
        ("mine", "https://api.openai.com", "https://api.openai.com/v1"),
        ("groq", "https://api.groq.com/v1", "https://api.groq.com/openai/v1"),
        ("openrouter", "https://openrouter.ai/v1", "https://openrouter.ai/api/v1"),
        ("ollama", "http://gpu-box:9999", "http://gpu-box:9999/v1"),
        ("local", "http://localhost:11434", "http://localhost:11434/v1"),
        ("local", "http://host.docker.internal:11434/api", "http://host.docker.internal:11434/v1"),
        ("ollama", "http://gpu-box:9999/api", "http://gpu-box:9999/v1"),
        ("vllm", "http://127.0.0.1:8000", "http://127.0.0.1:8000/v1"),
    ],
)
def test_an_address_with_a_wrong_known_path_is_reported(tmp_path: Path, name: str, address: str, right: str) -> None:
    assert notices(tmp_path, f"providers: {{{name}: {{baseUrl: '{address}'}}}}") == [
        f"providers.{name}.baseUrl: {address} is probably wrong; the API is at {right}"
    ]


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("deepseek", "https://api.deepseek.com"),
        ("deepseek", "https://api.deepseek.com/v1"),
        ("zai", "https://api.z.ai/api/coding/paas/v4/"),
        ("llamacpp", "http://gpu-box:8081"),
        ("mine", "http://gpu-box:8000"),
        ("ollama", "http://gpu-box/ollama"),
        ("azure", "https://x.openai.azure.com/openai/v1"),
    ],
)
def test_an_address_that_may_be_right_is_not_reported(tmp_path: Path, name: str, address: str) -> None:
    assert notices(tmp_path, f"providers: {{{name}: {{baseUrl: '{address}'}}}}") == []


@pytest.mark.parametrize(
    ("server", "address"),
    [
        ("{}", "http://127.0.0.1:8080/v1"),
        ("{}", "http://localhost:8080/v1"),
        ("{host: 0.0.0.0}", "http://[::1]:8080/v1"),
        ("{host: gw.example.org, port: 443}", "https://gw.example.org/v1"),
    ],
)
def test_the_gateways_own_address_is_reported(tmp_path: Path, server: str, address: str) -> None:
    text = f"server: {server}\nproviders: {{mine: {{baseUrl: '{address}'}}}}"
    assert notices(tmp_path, text) == [f"providers.mine.baseUrl: {address} is the gateway's own address"]


def test_the_default_of_llamacpp_is_reported_with_the_default_port(tmp_path: Path) -> None:
    assert notices(tmp_path, "providers: {llamacpp: }") == [
        "providers.llamacpp.baseUrl: http://127.0.0.1:8080/v1 is the gateway's own address"
    ]
    assert notices(tmp_path, "server: {port: 9000}\nproviders: {llamacpp: }") == []
    assert notices(tmp_path, "server: {unixSocket: /s}\nproviders: {llamacpp: }") == []


def test_settings_open_to_web_pages_are_reported(tmp_path: Path) -> None:
    text = "server: {allowedHosts: ['*'], corsOrigins: ['*']}\n"
    assert notices(tmp_path, text) == [
        f'server.{key}: "*" lets any web page use this gateway, since auth.mode is none'
        for key in ("allowedHosts", "corsOrigins")
    ]
    assert notices(tmp_path, text + "auth: {mode: jwt, jwt: {secret: " + "s" * 32 + "}}") == []
