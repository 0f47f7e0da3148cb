"""Requests that try to get a provider to use another model than the authorized one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy.auth.apikey import new_key
from tests.support import Upstream, completion, json_answer
from tests.support.gateway import Gateway, one_provider

CHAT = "/v1/chat/completions"
FORM = "/v1/audio/transcriptions"
OPEN, OPEN_HASH = new_key()
RESTRICTED, RESTRICTED_HASH = new_key()
FREE = {"Authorization": f"Bearer {OPEN}"}
BOUND = {"Authorization": f"Bearer {RESTRICTED}"}


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        upstream.on(lambda request: json_answer(completion("Hi")))
        yield upstream


@pytest.fixture
async def gw(up: Upstream) -> AsyncIterator[Gateway]:
    keys = [
        {"name": "open", "hash": OPEN_HASH},
        {"name": "restricted", "hash": RESTRICTED_HASH, "models": ["m"]},
    ]
    async with Gateway(one_provider(up, auth={"mode": "keys", "keys": keys}, database={"enabled": False})) as gateway:
        yield gateway


async def post(gw: Gateway, body: bytes, key: dict[str, str], target: str = CHAT) -> Any:
    client = await gw.client()
    return await client.fetch("POST", target, headers=list(key.items()), body=body)


def body_with(**members: Any) -> bytes:
    return json.dumps({"model": "m", "messages": []} | members).encode()


def assert_refused(answer: Any, status: int, code: str, param: str | None = None) -> None:
    error = answer.json["error"]
    assert (answer.status, error["code"], error["param"]) == (status, code, param)


# Names that differ in case only


@pytest.mark.parametrize("key", [FREE, BOUND], ids=["open", "restricted"])
@pytest.mark.parametrize(
    ("name", "meant"),
    [("Model", "model"), ("MODEL", "model"), ("mOdel", "model"), ("Stream", "stream"), ("\u017ftream", "stream")],
)
async def test_another_spelling_of_model_or_stream_is_a_400(
    name: str, meant: str, key: dict[str, str], up: Upstream, gw: Gateway
) -> None:
    assert_refused(await post(gw, body_with(**{name: "other"}), key), 400, "ambiguous_member", meant)
    assert up.requests == []


async def test_another_spelling_alone_is_a_400_too(up: Upstream, gw: Gateway) -> None:
    assert_refused(await post(gw, b'{"Model":"m","messages":[]}', FREE), 400, "ambiguous_member", "model")
    assert_refused(await post(gw, rb'{"\u004dodel":"m","messages":[]}', FREE), 400, "ambiguous_member", "model")
    assert up.requests == []


async def test_names_that_only_resemble_ours_are_accepted(up: Upstream, gw: Gateway) -> None:
    body = body_with(model_id="x", streaming=True, Models2="x")
    assert (await post(gw, body, BOUND)).status == 200


# Members that name other models


@pytest.mark.parametrize("name", ["models", "route", "preset", "fallbacks", "Models"])
async def test_members_that_name_other_models_are_accepted_for_unrestricted_keys_only(
    name: str, up: Upstream, gw: Gateway
) -> None:
    body = body_with(**{name: ["other"]})
    assert_refused(await post(gw, body, BOUND), 403, "model_not_allowed", name)
    assert up.requests == []
    assert (await post(gw, body, FREE)).status == 200
    assert (await up.request(0)).json[name] == ["other"]


async def test_members_that_name_other_models_are_rejected_at_a_pinned_provider_too(gw: Gateway) -> None:
    answer = await post(gw, body_with(models=["other"]), BOUND, "/proxy/up/chat/completions")
    assert_refused(answer, 403, "model_not_allowed", "models")


# The query


@pytest.mark.parametrize(
    "query", ["model=other", "a=1&model=other", "Model=other", "%6dodel=other", "model[]=other", "a;model=x", "+model"]
)
async def test_a_model_in_the_query_is_a_400(query: str, up: Upstream, gw: Gateway) -> None:
    assert_refused(await post(gw, body_with(), FREE, f"{CHAT}?{query}"), 400, "model_in_query", "model")
    assert_refused(
        await upload(gw, part(b'name="model"', b"m"), target=f"{FORM}?{query}"), 400, "model_in_query", "model"
    )
    assert up.requests == []


async def test_other_queries_are_accepted(up: Upstream, gw: Gateway) -> None:
    assert (await post(gw, body_with(), BOUND, f"{CHAT}?a=1&my_model=x")).status == 200
    assert (await up.request(0)).target.endswith("?a=1&my_model=x")


# Forms


def part(disposition: bytes, value: bytes, boundary: bytes = b"limit") -> bytes:
    return b"--%b\r\nContent-Disposition: form-data; %b\r\n\r\n%b\r\n" % (boundary, disposition, value)


async def upload(
    gw: Gateway, *parts: bytes, kind: str = "multipart/form-data; boundary=limit", target: str = FORM
) -> Any:
    client = await gw.client()
    headers = [*FREE.items(), ("Content-Type", kind)]
    return await client.fetch("POST", target, headers=headers, body=b"".join(parts) + b"--limit--\r\n")


@pytest.mark.parametrize(
    "disposition",
    [
        b'name="model"; filename=""',
        b'name="model"; filename="a.txt"',
        b"name=\"model\"; filename*=utf-8''a.txt",
        b'name="model"; filename*0="a"',
        b'name="Model"',
        b'name="model[]"',
        b'name=" model"',
    ],
)
async def test_an_ambiguous_model_part_is_a_400(disposition: bytes, up: Upstream, gw: Gateway) -> None:
    model, other = part(b'name="model"', b"m"), part(disposition, b"other")
    assert_refused(await upload(gw, other, model), 400, "invalid_multipart")
    assert up.requests == []
    # Behind the model the upload has begun: the provider must not get the whole form.
    assert_refused(await upload(gw, model, other), 400, "invalid_multipart")
    assert not any(request.complete.is_set() for request in up.requests)


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/form-data; boundary=limit; boundary*=utf-8''other",
        "multipart/form-data; boundary*=utf-8''other; boundary=limit",
        "multipart/form-data; boundary*0=ot; boundary*1=her; boundary=limit",
        "multipart/form-data; boundary*=utf-8''limit",
        "multipart/form-data; boundary=limit; BOUNDARY=other",
    ],
)
async def test_a_second_boundary_is_a_400_in_every_spelling(kind: str, up: Upstream, gw: Gateway) -> None:
    assert_refused(await upload(gw, part(b'name="model"', b"m"), kind=kind), 400, "invalid_content_type")
    assert up.requests == []


async def test_a_second_content_type_does_not_reach_the_provider(up: Upstream, gw: Gateway) -> None:
    client = await gw.client()
    kinds = [("Content-Type", f"multipart/form-data; boundary={name}") for name in ("limit", "other")]
    body = part(b'name="model"', b"m") + b"--limit--\r\n"
    answer = await client.fetch("POST", FORM, headers=[*FREE.items(), *kinds], body=body)
    assert answer.status == 400
    assert up.requests == []
