"""The model list at a URL, the key set, the collector of traces and Sentry."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.commands.live.endpoints import checks
from proxy.commands.live.finding import Finding, Live
from tests.commands.live.rig import finding, live, raw_answer
from tests.support.upstream import Upstream

JWKS = b'{"keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "1", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}'
DEAD = "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("status", "body", "level", "words"),
    [
        (200, JWKS, "ok", "has keys that verify tokens"),
        (200, b"{}", "FAILED", "holds no key set; no token can be verified"),
        (500, b"", "FAILED", "answers with status 500; no token can be verified"),
    ],
)
async def test_the_key_set_is_fetched_and_read(
    status: int, body: bytes, level: str, words: str, tmp_path: Path
) -> None:
    pytest.importorskip("jwt")
    async with Upstream() as up:
        up.on(lambda request: raw_answer(body, status))
        text = f"auth: {{mode: jwt, jwt: {{algorithms: [EdDSA], jwksUrl: '{up.url}/keys'}}}}"
        found = await finding("auth.jwt.jwksUrl", text, tmp_path)
    assert (found.level, words in found.text) == (level, True), found.text


async def test_a_collector_and_sentry_are_reached_without_a_request(tmp_path: Path) -> None:
    async with Upstream() as up:
        dsn = f"{up.url.removesuffix('/v1').replace('//', '//hunter2@')}/1"
        text = f"observe: {{tracing: {{enabled: true, endpoint: '{up.url}/traces'}}, sentry: {{dsn: '{dsn}'}}}}"
        for name in ("observe.tracing", "observe.sentry"):
            found = await finding(name, text, tmp_path)
            assert found.level == "ok"
            assert "hunter2" not in found.text
        assert up.requests == []


async def test_a_collector_that_is_down_is_a_warning(tmp_path: Path) -> None:
    found = await finding("observe.tracing", f"observe: {{tracing: {{enabled: true, endpoint: '{DEAD}/x'}}}}", tmp_path)
    assert found.level == "warning"
    assert found.text == (
        f"{DEAD}: It could not be reached (connection refused); nothing is reported there until it answers"
    )


async def models_file(given: Live, url: str) -> Finding:
    from msgspec.structs import replace

    at_url = Live(replace(given.config, models_file=url), given.environ)
    ((name, check),) = checks(at_url)
    assert name == "modelsFile"
    (found,) = await check()
    return found


async def test_a_model_list_at_a_url(tmp_path: Path) -> None:
    given = live("", tmp_path)
    async with Upstream() as up:
        up.on(lambda request: raw_answer(b"models: []", 200))
        found = await models_file(given, f"{up.url}/models.yaml?token=hunter2")
    assert (found.level, found.text) == ("ok", f"{up.url}/models.yaml answers, 10 bytes")
    down = await models_file(given, f"{DEAD}/models.yaml?token=hunter2")
    assert down.level == "warning"
    assert "cannot be reached" in down.text
    assert "hunter2" not in down.text
