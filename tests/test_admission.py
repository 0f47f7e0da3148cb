"""Authentication and limits at the API: keys, tokens and rate limits."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jwt
import openai
import pytest
from openai import AsyncOpenAI

from proxy.auth.apikey import new_key
from proxy.config.loader import Loaded
from proxy.config.secret import secrets_in
from proxy.limits.limiter import Limiter
from proxy.limits.memory import Memory
from tests.support import (
    Chunk,
    Close,
    Headers,
    RawClient,
    Stall,
    Upstream,
    chat_events,
    completion,
    error_json,
    json_answer,
    sse_answer,
    until,
)
from tests.support.answers import SSE_HEADERS
from tests.support.clock import LoopClock
from tests.support.gateway import ADMIN, Gateway, one_provider, to_config

CHAT = "/v1/chat/completions"
ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hello there"}]}
SECRET, HASH = new_key()
OTHER, OTHER_HASH = new_key()


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        upstream.on(lambda request: sse_answer(*chat_events("Hi")) if request.json.get("stream") else _plain())
        yield upstream


def _plain(**usage: Any) -> Any:
    return json_answer(completion("Hi", **usage))


def keys(*entries: dict[str, Any], **auth: Any) -> dict[str, Any]:
    """The sections for API keys from the configuration alone."""
    return {"auth": {"mode": "keys", "keys": list(entries), **auth}, "database": {"enabled": False}}


def limits(**levels: Any) -> dict[str, Any]:
    return {"rateLimiting": {"enabled": True, **levels}}


@asynccontextmanager
async def sdk(gw: Gateway, key: str = SECRET, **options: Any) -> AsyncIterator[AsyncOpenAI]:
    options = {"max_retries": 0, "timeout": 10.0} | options
    async with AsyncOpenAI(base_url=f"{gw.url}/v1", api_key=key, **options) as client:
        yield client


async def ask(client: RawClient, *headers: tuple[str, str], **members: Any) -> Any:
    return await client.fetch("POST", CHAT, json=ASK | members, headers=headers)


def bearer(secret: str) -> tuple[str, str]:
    return "Authorization", f"Bearer {secret}"


def limiter_of(gw: Gateway) -> Limiter:
    assert gw.app.limiter is not None
    return gw.app.limiter


def store_of(gw: Gateway) -> Memory:
    store = limiter_of(gw).store
    assert isinstance(store, Memory)
    return store


# Keys, by the openai package


async def test_the_openai_package_streams_with_a_key_and_gets_its_own_errors_without(up: Upstream) -> None:
    own = {"name": "a", "hash": HASH, "models": ["m"], "limits": {"requestsPerHour": 2}}
    clock = LoopClock()  # each second takes one from Retry-After
    both = one_provider(up, **keys(own), **limits())
    both["models"].append({"name": "other", "provider": "up"})
    async with Gateway(both) as gw:
        async with sdk(gw, "sk-wrong") as client:
            with pytest.raises(openai.AuthenticationError) as refused:
                await client.chat.completions.create(**ASK)
            assert refused.value.code == "invalid_api_key"
            assert refused.value.response.headers["www-authenticate"] == 'Bearer realm="sluice"'
            assert refused.value.response.headers["x-should-retry"] == "false"
        async with sdk(gw) as client:
            text = [
                chunk.choices[0].delta.content or ""
                async for chunk in await client.chat.completions.create(**ASK, stream=True)
            ]
            assert "".join(text) == "Hi"
            with pytest.raises(openai.PermissionDeniedError, match="'other'") as forbidden:
                await client.chat.completions.create(**ASK | {"model": "other"})
            assert forbidden.value.code == "model_not_allowed"
            await clock.advance(0.5)  # of no time at all, the wait might be rounded up to 1801 s
            with pytest.raises(openai.RateLimitError) as limited:
                await client.chat.completions.create(**ASK)
            assert limited.value.response.headers["retry-after"] == "1800"
            assert limited.value.body["limit_type"] == "client"


async def test_the_openai_package_waits_for_retry_after(up: Upstream) -> None:
    async with (
        Gateway(one_provider(up, **limits(**{"global": {"requestsPerMinute": 30, "burstSize": 1}}))) as gw,
        sdk(gw, max_retries=1) as client,
    ):
        for _ in range(2):
            await client.chat.completions.create(**ASK)  # without Retry-After the only retry would be too early
        assert [line["status"] for line in gw.exchanges] == [200, 429, 200]


async def test_one_valid_credential_of_two_is_enough(up: Upstream) -> None:
    async with Gateway(one_provider(up, **keys({"name": "a", "hash": HASH}, {"name": "b", "hash": OTHER_HASH}))) as gw:
        client = await gw.client()
        for headers, status in (
            ((bearer("sk-unused"), ("x-api-key", SECRET)), 200),
            ((bearer(SECRET), ("x-api-key", "unused")), 200),
            ((bearer(""), ("api-key", SECRET)), 200),
            ((("x-api-key", "unused"), ("api-key", SECRET)), 200),
            ((bearer(OTHER), ("x-api-key", SECRET)), 200),
            ((bearer("sk-unused"), ("x-api-key", "unused")), 401),
        ):
            for _ in range(2):
                assert (await ask(client, *headers)).status == status
        callers = [line.get("caller") for line in (await gw.settled(12), *gw.exchanges)[1:]]
        assert len({*callers[:8]}) == 1
        assert len({*callers[8:10]} - {*callers[:8]}) == 1  # the first valid one identifies the client


async def test_every_invalid_key_gets_the_same_401_that_explains_how_to_send_one(up: Upstream) -> None:
    auth = keys(
        {"name": "old", "hash": HASH, "expires": "2020-01-01"},
        {"name": "off", "hash": OTHER_HASH, "enabled": False},
        mode="any",
        jwt={"secret": "s" * 32},
    )
    stale = jwt.encode({"sub": "ann", "exp": 1}, "s" * 32, "HS256")
    async with Gateway(one_provider(up, **auth)) as gw:
        client = await gw.client()
        wrong = (SECRET, OTHER, "sk-unknown", "x", stale)
        answers = [await ask(client), *[await ask(client, bearer(each)) for each in wrong]]
        assert {(answer.status, answer.json["error"]["message"]) for answer in answers} == {
            (401, "The credential is missing or not valid. Send your key as `Authorization: Bearer sk-...`.")
        }


async def test_a_key_authenticates_while_the_token_beside_it_cannot_be_verified(up: Upstream) -> None:
    auth = keys({"name": "a", "hash": HASH}, mode="any", jwt={"jwksUrl": "http://127.0.0.1:1/keys"})
    token = jwt.encode({"sub": "ann"}, "s" * 32, "HS256")
    token = "eyJhbGciOiJSUzI1NiJ9." + token.partition(".")[2]
    async with Gateway(one_provider(up, **auth)) as gw:
        client = await gw.client()
        assert (await ask(client, bearer(token), ("x-api-key", SECRET))).status == 200
        assert (await ask(client, bearer(token), ("x-api-key", "unused"))).status == 503


async def test_a_token_as_long_as_the_header_limit_is_accepted(up: Upstream) -> None:
    auth = {"auth": {"mode": "jwt", "jwt": {"secret": "s" * 32}}}
    claims = {"sub": "ann", "exp": time.time() + 60, "groups": ["g" * 100] * 220}
    token = jwt.encode(claims, "s" * 32, "HS256")
    assert 30_000 < len(token) < 32_000
    async with Gateway(one_provider(up, **auth)) as gw:
        assert (await ask(await gw.client(), bearer(token))).status == 200


async def test_missing_unknown_expired_disabled_and_malformed_keys_get_the_same_response(up: Upstream) -> None:
    _, expired = (past := new_key())
    _, disabled = (off := new_key())
    entries = (
        {"name": "a", "hash": HASH},
        {"name": "expired", "hash": expired, "expires": "2020-01-01"},
        {"name": "off", "hash": disabled, "enabled": False},
    )
    async with Gateway(one_provider(up, **keys(*entries))) as gw:
        client = await gw.client()
        answers = [
            await ask(client, *headers)
            for headers in (
                (),
                (bearer("sk-unknown"),),
                (bearer(past[0]),),
                (bearer(off[0]),),
                (bearer(""),),
                (("Authorization", "Basic c2s="),),
                (bearer("sk-" + "ä" * 9),),
            )
        ]
        assert {answer.status for answer in answers} == {401}
        assert len({answer.body for answer in answers}) == 1
        assert (await ask(client, bearer(SECRET))).status == 200
        assert (await ask(client, ("x-api-key", SECRET))).status == 200
        assert not up.requests[-1].header("x-api-key")


async def test_no_key_is_ever_logged(up: Upstream) -> None:
    async with Gateway(one_provider(up, **keys({"name": "a", "hash": HASH}))) as gw:
        client = await gw.client()
        await ask(client, bearer(SECRET))
        await ask(client, bearer(OTHER))
        text = "\n".join(gw.log_lines)
        assert SECRET not in text
        assert OTHER not in text
        assert ADMIN not in text


async def test_a_preflight_health_and_metrics_need_no_key(up: Upstream) -> None:
    async with Gateway(one_provider(up, **keys({"name": "a", "hash": HASH}))) as gw:
        client = await gw.client()
        for path in ("/health", "/ready", "/metrics"):
            assert (await client.fetch("GET", path)).status == 200
        assert (await client.fetch("GET", "/v1/models")).status == 401


async def test_a_key_lists_and_calls_only_its_own_models(up: Upstream) -> None:
    source = one_provider(up, **keys({"name": "a", "hash": HASH, "models": ["m", "fast-*"]}))
    source["models"] += [{"name": "fast-1", "provider": "up"}, {"name": "secret", "provider": "up"}]
    source["routing"] |= {"fallback": {"provider": "up", "model": "secret"}}
    up.on(lambda request: json_answer(error_json("no"), 500))
    async with Gateway(source) as gw:
        client = await gw.client()
        listed = (await client.fetch("GET", "/v1/models", headers=[bearer(SECRET)])).json
        assert [model["id"] for model in listed["data"]] == ["m", "fast-1"]
        assert [model["name"] for model in listed["models"]] == ["m", "fast-1"]
        assert (await client.fetch("GET", "/v1/models/secret", headers=[bearer(SECRET)])).status == 404
        assert (await ask(client, bearer(SECRET), model="secret")).status == 403
        await ask(client, bearer(SECRET))
        await ask(client, bearer(SECRET), model=["secret", "m"])
        await ask(client, bearer(SECRET), model="auto")
        assert {request.json["model"] for request in up.requests} <= {"up-model", "fast-1"}


async def test_passthrough_requires_its_scope(up: Upstream) -> None:
    source = one_provider(
        up,
        provider={"passthrough": ["GET /files"]},
        **keys({"name": "a", "hash": HASH}, {"name": "b", "hash": OTHER_HASH, "scopes": ["passthrough"]}),
        defaultProvider="up",
    )
    up.on(lambda request: json_answer({"ok": True}))
    async with Gateway(source) as gw:
        client = await gw.client()
        for path in ("/proxy/up/files", "/v1/files"):
            refused = await client.fetch("GET", path, headers=[bearer(SECRET)])
            assert (refused.status, refused.json["error"]["code"]) == (403, "scope_missing")
            assert (await client.fetch("GET", path, headers=[bearer(OTHER)])).status == 200


async def test_keys_created_and_revoked_at_run_time_take_effect_at_once(up: Upstream, tmp_path: Path) -> None:
    source = one_provider(up, auth={"mode": "keys"}, dataDir=str(tmp_path))
    async with Gateway(source) as gw:
        client = await gw.client()
        admin = [bearer(ADMIN)]
        made = await client.fetch("POST", "/auth/api-keys", json={"name": "new"}, headers=admin)
        assert made.status == 201
        secret, id_ = made.json["key"], made.json["id"]
        assert (await ask(client, bearer(secret))).status == 200
        assert (await gw.settled(1))["caller"] == f"key:{id_}"
        rotated = await client.fetch("POST", f"/auth/api-keys/{id_}/rotate", json={"graceSecs": 0}, headers=admin)
        assert rotated.status == 201
        assert (await ask(client, bearer(secret))).status == 401
        assert (await ask(client, bearer(rotated.json["key"]))).status == 200
        assert (await client.fetch("DELETE", f"/auth/api-keys/{id_}", headers=admin)).status == 204
        assert (await ask(client, bearer(rotated.json["key"]))).status == 401
        assert (await client.fetch("GET", "/auth/api-keys")).status == 401


# JSON Web Tokens


async def test_token_claims_set_subject_scopes_and_limits(up: Upstream) -> None:
    settings = {"secret": "s" * 32, "issuer": "https://id.example", "audience": ["sluice"]}
    source = one_provider(up, auth={"mode": "any", "jwt": settings}, database={"enabled": False}, **limits())
    claims = {"sub": "ann", "iss": "https://id.example", "aud": "sluice", "exp": time.time() + 60}
    async with Gateway(source) as gw:
        client = await gw.client()
        good = jwt.encode(claims | {"models": ["m"], "limits": {"requestsPerHour": 1}}, "s" * 32, "HS256")
        assert (await ask(client, bearer(good))).status == 200
        assert (await ask(client, bearer(good))).json["error"]["limit_type"] == "client"
        elsewhere = jwt.encode(claims | {"sub": "bob", "models": ["n"]}, "s" * 32, "HS256")
        assert (await ask(client, bearer(elsewhere))).status == 403
        for wrong in (claims | {"aud": "x"}, claims | {"exp": time.time() - 60}, {"sub": "ann"}):
            assert (await ask(client, bearer(jwt.encode(wrong, "s" * 32, "HS256")))).status == 401
        assert (await ask(client, bearer(jwt.encode(claims, "t" * 32, "HS256")))).status == 401
        assert (await gw.settled(1))["caller"] == "jwt:ann"


# Limits of a credential

OWN: Any = {"requestsPerHour": 2}


async def test_request_limits_of_a_key_apply_without_configured_levels(up: Upstream) -> None:
    off = {"rateLimiting": {"enabled": False, "global": {"requestsPerHour": 1}, "perModel": {"requestsPerHour": 1}}}
    own, other = {"name": "a", "hash": HASH, "limits": OWN}, {"name": "b", "hash": OTHER_HASH}
    async with Gateway(one_provider(up, **keys(own, other), **off)) as gw:
        client = await gw.client()
        answers = [await ask(client, bearer(SECRET)) for _ in range(3)]
        assert [(each.status, each.header("X-RateLimit-Remaining")) for each in answers] == [
            (200, "1"),
            (200, "0"),
            (429, "0"),
        ]
        assert answers[-1].json["error"]["limit_type"] == "client"
        others = [await ask(client, bearer(OTHER)) for _ in range(4)]
        assert {(each.status, each.header("X-RateLimit-Limit")) for each in others} == {(200, None)}


async def test_token_limits_of_a_key_apply_without_configured_levels(up: Upstream) -> None:
    own = {"name": "a", "hash": HASH, "limits": {"tokensPerMinute": 50}}
    async with Gateway(one_provider(up, **keys(own))) as gw:
        client = await gw.client()
        assert (await ask(client, bearer(SECRET), max_tokens=50)).status == 200
        refused = await ask(client, bearer(SECRET), max_tokens=50)
        assert (refused.status, refused.json["error"]["limit_unit"]) == (429, "tokensPerMinute")


async def test_limits_of_a_key_created_at_run_time_apply_without_rate_limiting(up: Upstream, tmp_path: Path) -> None:
    async with Gateway(one_provider(up, auth={"mode": "keys"}, dataDir=str(tmp_path))) as gw:
        client = await gw.client()
        settings = {"name": "new", "limits": OWN}
        made = await client.fetch("POST", "/auth/api-keys", json=settings, headers=[bearer(ADMIN)])
        assert made.json["limits"]["enabled"] is True
        assert [(await ask(client, bearer(made.json["key"]))).status for _ in range(3)] == [200, 200, 429]


async def test_limits_of_a_token_apply_without_rate_limiting(up: Upstream) -> None:
    auth = {"mode": "jwt", "jwt": {"secret": "s" * 32}}
    token = jwt.encode({"sub": "ann", "exp": time.time() + 60, "limits": OWN}, "s" * 32, "HS256")
    async with Gateway(one_provider(up, auth=auth)) as gw:
        client = await gw.client()
        assert [(await ask(client, bearer(token))).status for _ in range(3)] == [200, 200, 429]


async def test_without_authentication_and_rate_limiting_there_is_no_limiter(up: Upstream) -> None:
    async with Gateway(one_provider(up)) as gw:
        client = await gw.client()
        answer = await ask(client, bearer(SECRET))
        assert (answer.status, answer.header("X-RateLimit-Limit")) == (200, None)
        assert limiter_of(gw).rules.inactive


# Limits of requests


async def test_headers_report_the_tightest_bucket_and_a_429_names_the_level(up: Upstream) -> None:
    levels = {"global": {"requestsPerHour": 100}, "perClient": {"requestsPerHour": 20, "burstSize": 2}}
    clock = LoopClock()  # each second takes one from Retry-After
    async with Gateway(one_provider(up, **limits(**levels))) as gw:
        client = await gw.client()
        seen = []
        for _ in range(3):
            await clock.advance(0.2)  # of no time at all, the wait might be rounded up to 181 s
            answer = await ask(client)
            seen.append((answer.status, answer.header("X-RateLimit-Limit"), answer.header("X-RateLimit-Remaining")))
        assert seen == [(200, "20", "1"), (200, "20", "0"), (429, "20", "0")]
        assert answer.header("Retry-After") == "180"
        assert abs(int(answer.header("X-RateLimit-Reset")) - time.time() - 360) < 20
        assert answer.json["error"] == {
            "message": "Rate limit exceeded: 20 requests per hour (at most 2 at once) for this client. Try again in 180 s.",
            "type": "rate_limit_error",
            "param": None,
            "code": "rate_limit_exceeded",
            "limit_type": "client",
            "limit_unit": "requestsPerHour",
        }
        assert len(up.requests) == 2


async def test_model_lists_unknown_paths_and_pages_are_not_rate_limited(up: Upstream) -> None:
    levels = {"global": {"requestsPerHour": 1}, "perClient": {"requestsPerHour": 1}}
    async with Gateway(one_provider(up, **limits(**levels))) as gw:
        client = await gw.client()
        for method, path, status in (
            ("GET", "/v1/models", 200),
            ("GET", "/v1/models/m", 200),
            ("GET", "/v1/models/unknown", 404),
            ("GET", "/v1/nothing", 404),
            ("GET", "/proxy/unknown/files", 404),
            ("GET", "/wp-login.php", 404),
            ("GET", CHAT, 405),
            ("GET", "/health", 200),
            ("GET", "/docs", 200),
        ):
            for _ in range(2):
                answer = await client.fetch(method, path)
                assert (answer.status, answer.header("X-RateLimit-Limit")) == (status, None), path
        assert [(await ask(client)).status for _ in range(2)] == [200, 429]


async def test_unauthenticated_requests_cannot_discover_routes(up: Upstream) -> None:
    async with Gateway(one_provider(up, **keys({"name": "a", "hash": HASH}))) as gw:
        client = await gw.client()
        for path in ("/v1/models", "/v1/nothing", "/proxy/up/files", "/proxy/unknown/files"):
            assert (await client.fetch("GET", path)).status == 401


async def test_a_rejected_request_costs_other_clients_nothing(up: Upstream) -> None:
    levels = {"global": {"requestsPerHour": 3}, "perClient": {"requestsPerHour": 1}}
    async with Gateway(one_provider(up, **limits(**levels))) as gw:
        client = await gw.client()
        statuses = [(await ask(client, ("X-Client-ID", name))).status for name in "aaabc"]
        assert statuses == [200, 429, 429, 200, 200]
        assert (await ask(client, ("X-Client-ID", "d"))).json["error"]["limit_type"] == "global"


async def test_unverified_names_are_limited_within_their_address(up: Upstream) -> None:
    levels = {"perClient": {"requestsPerHour": 1}, "perAddress": {"requestsPerHour": 3}}
    async with Gateway(one_provider(up, **limits(**levels))) as gw:
        client = await gw.client()
        answers = [await ask(client, ("X-Client-ID", f"made-up-{number}")) for number in range(4)]
        assert [answer.status for answer in answers] == [200, 200, 200, 429]
        assert answers[-1].json["error"]["limit_type"] == "address"


async def test_an_unverified_name_has_a_bucket_per_address(up: Upstream) -> None:
    levels = limits(perClient={"requestsPerHour": 1})
    async with Gateway(one_provider(up, **levels, server={"trustedProxies": ["127.0.0.1"]})) as gw:
        client = await gw.client()

        async def status_from(address: str) -> int:
            answer = await ask(client, ("X-Client-ID", "ann"), ("X-Forwarded-For", address))
            return int(answer.status)

        assert [await status_from("192.0.2.1") for _ in range(2)] == [200, 429]
        assert await status_from("192.0.2.2") == 200
        assert [await status_from(f"2001:db8::{n}") for n in (1, 2)] == [200, 429]


async def test_forwarded_addresses_are_used_only_from_a_trusted_proxy(up: Upstream) -> None:
    levels = limits(perClient={"requestsPerHour": 1})
    for trusted, expected in (([], [200, 429]), (["127.0.0.1"], [200, 200])):
        async with Gateway(one_provider(up, **levels, server={"trustedProxies": trusted})) as gw:
            client = await gw.client()
            statuses = [(await ask(client, ("X-Forwarded-For", f"192.0.2.{n}"))).status for n in (1, 2)]
            assert statuses == expected
            await gw.settled(2)
            logged = [line["client"] for line in gw.exchanges]
            assert logged == (["192.0.2.1", "192.0.2.2"] if trusted else ["127.0.0.1", "127.0.0.1"])


async def test_a_model_limit_selects_the_next_candidate_or_rejects(up: Upstream) -> None:
    source = one_provider(up, **limits(perModel={"requestsPerHour": 1}))
    source["models"].append({"name": "n", "provider": "up", "model": "second"})
    async with Gateway(source) as gw:
        client = await gw.client()
        first = await ask(client)
        assert (first.status, first.header("X-RateLimit-Remaining")) == (200, "0")
        refused = await ask(client)
        assert (refused.status, refused.json["error"]["limit_type"]) == (429, "model")
        assert (await ask(client, model=["m", "n"])).status == 200
        assert [request.json["model"] for request in up.requests] == ["up-model", "second"]
        assert (await ask(client, model="auto")).status == 429


@pytest.mark.parametrize("on_limit", [None, False, True])
async def test_a_model_limit_uses_the_fallback_only_if_configured(up: Upstream, on_limit: bool | None) -> None:
    source = one_provider(up, **limits(perModel={"requestsPerHour": 1}))
    source["models"].append({"name": "paid", "provider": "up", "model": "up-paid"})
    source["routing"] |= {"fallback": {"provider": "up", "model": "paid"}}
    if on_limit is not None:
        source["routing"]["fallback"]["onLimit"] = on_limit
    async with Gateway(source) as gw:
        client = await gw.client()
        assert (await ask(client)).status == 200
        answer = await ask(client)
        if on_limit:
            assert (answer.status, answer.json["_router"]["fallback_used"]) == (200, True)
            assert answer.json["_router"]["skipped"] == [{"model": "up/m", "reason": "limit"}]
        else:
            assert (answer.status, answer.json["error"]["limit_type"]) == (429, "model")
            assert len(up.requests) == 1


async def test_a_candidate_skipped_by_a_limit_is_named_in_the_response(up: Upstream) -> None:
    source = one_provider(up, **limits(perModel={"requestsPerHour": 1}))
    source["models"].append({"name": "n", "provider": "up", "model": "up-n"})
    async with Gateway(source) as gw:
        client = await gw.client()
        assert "skipped" not in (await ask(client)).json["_router"]
        seen = (await client.fetch("POST", CHAT, json={"model": ["m", "n"], "messages": []})).json["_router"]
        assert (seen["model_name"], seen["skipped"]) == ("n", [{"model": "up/m", "reason": "limit"}])


async def test_earlier_limits_are_refunded_if_a_later_limit_rejects(up: Upstream) -> None:
    levels = limits(**{"global": {"requestsPerHour": 10}}, perModel={"requestsPerHour": 1})
    async with Gateway(one_provider(up, **levels)) as gw:
        client = await gw.client()
        for _ in range(5):
            await ask(client)
        everyone = limiter_of(gw).rules.shared.requests[0]
        assert store_of(gw).usage(everyone, "all") == pytest.approx(9, abs=0.1)


async def test_a_provider_at_its_limit_gets_no_requests(up: Upstream) -> None:
    async with Gateway(one_provider(up, **limits(perProvider={"requestsPerHour": 2}))) as gw:
        client = await gw.client()
        answers = [await ask(client) for _ in range(3)]
        assert [answer.status for answer in answers] == [200, 200, 429]
        assert answers[-1].json["error"]["limit_type"] == "provider"


async def test_a_reload_changes_limits_and_keeps_their_usage(up: Upstream, tmp_path: Path) -> None:
    async with Gateway(one_provider(up, **limits(perClient={"requestsPerHour": 2}))) as gw:
        client = await gw.client()
        assert (await ask(client)).status == 200
        changed = one_provider(up, **limits(perClient={"requestsPerHour": 1}))
        await gw.app.running.take(Loaded(to_config(changed), []), "test")
        assert (await ask(client)).status == 429
        await gw.app.running.take(Loaded(to_config(one_provider(up)), []), "test")
        assert (await ask(client)).status == 200


async def test_headers_do_not_report_the_bucket_of_a_skipped_model(up: Upstream) -> None:
    source = one_provider(up, **limits(perModel={"requestsPerHour": 3, "burstSize": 3}))
    source["models"].append({"name": "n", "provider": "up", "model": "second"})
    async with Gateway(source) as gw:
        client = await gw.client()
        for _ in range(3):
            assert (await ask(client)).status == 200
        other = await ask(client, model=["m", "n"])
        assert (other.status, other.header("x-router-model")) == (200, "n")
        assert other.header("X-RateLimit-Remaining") == "2"


async def test_errors_do_not_name_models_that_the_key_may_not_use(up: Upstream) -> None:
    source = one_provider(up, **keys({"name": "a", "hash": HASH, "models": ["m"]}))
    source["models"].append({"name": "secret-model", "provider": "up"})
    async with Gateway(source) as gw:
        client = await gw.client()
        for answer in (
            await ask(client, bearer(SECRET), model="secret-mode"),
            await client.fetch("GET", "/v1/models/secret-mode", headers=[bearer(SECRET)]),
        ):
            assert answer.status == 404
            assert b"secret-model" not in answer.body.replace(b"'secret-mode'", b"")


# Limits of tokens


def level(gw: Gateway, name: str, key: str) -> float:
    rules = limiter_of(gw).rules
    bounds = {"client": rules.client(None), "model": rules.model, "global": rules.shared}[name]
    assert bounds.tokens is not None
    return store_of(gw).usage(bounds.tokens, key)


TOKENS = limits(
    **{"global": {"tokensPerMinute": 60_000_000}},
    perClient={"tokensPerMinute": 60_000},
    perModel={"tokensPerMinute": 6_000_000},
)


async def test_estimated_tokens_are_reserved_and_corrected_by_usage(up: Upstream) -> None:
    seen: list[float] = []
    LoopClock()  # the limits refill by 1000 tokens in a second
    async with Gateway(one_provider(up, **TOKENS)) as gw:
        client = await gw.client()

        def answer(request: Any) -> Any:
            seen.append(level(gw, "client", "address:127.0.0.1"))
            return _plain(usage={"prompt_tokens": 300, "completion_tokens": 200, "total_tokens": 500})

        up.on(answer)
        await ask(client, max_tokens=7000)
        await gw.settled()
        assert seen[0] == pytest.approx(60_000 - 7000 - 3, abs=200)
        assert level(gw, "client", "address:127.0.0.1") == pytest.approx(60_000 - 500, abs=200)


async def test_exhausted_token_limits_reject_before_any_attempt(up: Upstream) -> None:
    up.on(lambda request: _plain(usage={"prompt_tokens": 59_000, "completion_tokens": 11_000, "total_tokens": 70_000}))
    LoopClock()  # the limits refill by 1000 tokens in a second
    async with Gateway(one_provider(up, **TOKENS)) as gw:
        client = await gw.client()
        assert (await ask(client, max_tokens=100)).status == 200
        await gw.settled()
        refused = await ask(client, max_tokens=100)
        assert refused.status == 429
        assert (refused.json["error"]["limit_type"], refused.json["error"]["limit_unit"]) == (
            "client",
            "tokensPerMinute",
        )
        assert int(refused.header("Retry-After")) >= 9  # includes the debt
        assert len(up.requests) == 1


async def test_a_failed_request_refunds_its_tokens(up: Upstream) -> None:
    up.on(lambda request: json_answer(error_json("no"), 500))
    LoopClock()  # the limits refill by 1000 tokens in a second
    async with Gateway(one_provider(up, **TOKENS)) as gw:
        client = await gw.client()
        await ask(client, max_tokens=50_000)
        await gw.settled()
        assert level(gw, "client", "address:127.0.0.1") == pytest.approx(60_000, abs=200)
        assert level(gw, "model", "m") == pytest.approx(6_000_000, abs=2000)


async def test_a_disconnected_stream_is_charged_for_what_was_received(up: Upstream) -> None:
    events = chat_events(*["token "] * 100)[:-2]
    up.on(lambda request: [Headers(200, SSE_HEADERS), *_chunks(events), Stall()])
    LoopClock()  # the limits refill by 1000 tokens in a second
    async with Gateway(one_provider(up, **TOKENS)) as gw:
        client = await gw.client()
        await client.request("POST", CHAT, json=ASK | {"stream": True, "max_tokens": 50_000})
        await client.read_head()
        for _ in range(50):
            await client.read_event()
        client.close()
        await gw.settled()
        left = level(gw, "client", "address:127.0.0.1")
        assert 60_000 - 400 < left < 60_000 - 20


def _chunks(events: list[bytes]) -> list[Any]:
    return [Chunk(event) for event in events]


# Slots


def slots(gw: Gateway) -> float:
    rules = limiter_of(gw).rules
    limit = next(limit for limit in rules.shared.requests if not limit.rate)
    return store_of(gw).usage(limit, "all")


CONCURRENT = limits(
    **{"global": {"concurrent": 2}},
    perModel={"concurrent": 2},
    perProvider={"concurrent": 2},
    perClient={"concurrent": 2},
)


async def test_requests_over_the_concurrency_limit_are_rejected(up: Upstream) -> None:
    up.on(lambda request: [Headers(200, SSE_HEADERS), *_chunks(chat_events("Hi")[:2]), Stall()])
    async with Gateway(one_provider(up, **CONCURRENT)) as gw:
        streams = [await gw.client() for _ in range(2)]
        for client in streams:
            await client.request("POST", CHAT, json=ASK | {"stream": True})
            await client.read_head()
        third = await gw.client()
        refused = await ask(third)
        assert (refused.status, refused.json["error"]["limit_unit"]) == (429, "concurrent")
        assert refused.header("Retry-After") == "1"
        streams[0].close()
        await until(lambda: slots(gw) == 1, "a free slot")
        up.on(lambda request: _plain())
        assert (await ask(third)).status == 200


@pytest.mark.parametrize(
    "end", ["answered", "refused by the provider", "cut", "no such model", "no JSON", "broken stream", "client gone"]
)
async def test_slots_are_released_after_every_outcome(up: Upstream, end: str) -> None:
    scripts: dict[str, Any] = {
        "refused by the provider": json_answer(error_json("no"), 500),
        "cut": [Close()],
        "broken stream": [Headers(200, SSE_HEADERS), *_chunks(chat_events("Hi")[:2]), Close()],
        "client gone": [Headers(200, SSE_HEADERS), *_chunks(chat_events("Hi")[:2]), Stall()],
    }
    if end in scripts:
        up.on(lambda request: scripts[end])
    async with Gateway(one_provider(up, **CONCURRENT)) as gw:
        client = await gw.client()
        if end in ("broken stream", "client gone"):
            await client.request("POST", CHAT, json=ASK | {"stream": True})
            await client.read_head()
            client.close() if end == "client gone" else await client.read_body()
        elif end == "no JSON":
            await client.fetch("POST", CHAT, body=b"{", headers=[("Content-Type", "application/json")])
        else:
            await ask(client, model="nobody" if end == "no such model" else "m")
        await gw.settled()
        limiter = limiter_of(gw)
        assert slots(gw) == 2
        for bounds, key in (
            (limiter.rules.model, "m"),
            (limiter.rules.provider, "up"),
            (limiter.rules.client(None), "address:127.0.0.1"),
        ):
            assert store_of(gw).usage(bounds.requests[0], key) == 2


async def test_a_failed_candidate_releases_its_slot_before_the_next_attempt(up: Upstream) -> None:
    async with Upstream() as second:
        source = one_provider(up, **limits(perProvider={"concurrent": 1}))
        source["routing"] = {"maxRetries": 2, "rateLimitRetries": 0}
        source["providers"]["second"] = {"baseUrl": second.url, "apiKey": "other-secret"}
        source["models"].append({"name": "m", "provider": "second", "model": "second-model"})
        up.on(lambda request: json_answer(error_json("no"), 500))
        second.on(lambda request: [Headers(200, SSE_HEADERS), *_chunks(chat_events("Hi")[:2]), Stall()])
        async with Gateway(source) as gw:
            client = await gw.client()
            await client.request("POST", CHAT, json=ASK | {"stream": True, "model": ["up/m", "second/m"]})
            await client.read_head()
            limit = limiter_of(gw).rules.provider.requests[0]
            assert store_of(gw).usage(limit, "up") == 1
            assert store_of(gw).usage(limit, "second") == 0


def test_admission_secrets_are_masked() -> None:
    config = to_config(
        {
            "providers": {"p": {"baseUrl": "http://127.0.0.1:1"}},
            "admin": {"token": "admin-token-of-this"},
            "redis": {"url": "redis://:redis-secret@127.0.0.1:6379/0"},
            "database": {"url": "postgresql://u:pg-secret@127.0.0.1/x"},
            "auth": {"mode": "jwt", "jwt": {"secret": "jwt-secret-" * 4}},
        }
    )
    assert {"admin-token-of-this", "redis-secret", "pg-secret", "jwt-secret-" * 4} <= secrets_in(config)
