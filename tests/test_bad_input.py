"""Invalid requests get an OpenAI error object with the right status and reach no provider."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.dialects.openai.call import REQUESTS
from proxy.errors import ClientFault
from tests.support import Answer, Blackhole, Stall, Upstream, completion, json_answer
from tests.support.gateway import Gateway, one_provider

CHAT = "/v1/chat/completions"


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as up:
        up.on(lambda request: json_answer(completion()))
        yield up


@pytest.fixture
async def gw(up: Upstream) -> AsyncIterator[Gateway]:
    async with Gateway(one_provider(up)) as gw:
        yield gw


async def post(gw: Gateway, body: bytes, target: str = CHAT, kind: str = "application/json") -> Answer:
    client = await gw.client()
    return await client.fetch("POST", target, headers=[("Content-Type", kind)], body=body)


def assert_error(answer: Answer, status: int, code: str | None, param: str | None = None) -> str:
    """It is OpenAI's error object, whole; returns its message."""
    assert answer.status == status, answer.body
    assert answer.header("content-type") == "application/json"
    assert answer.header("x-request-id")
    assert list(answer.json) == ["error"]
    error = answer.json["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["code"], error["param"]) == (code, param)
    assert isinstance(error["type"], str)
    assert isinstance(error["message"], str)
    return str(error["message"])


# -- the body -------------------------------------------------------------------------------------

NOT_JSON = {
    "nothing": b"",
    "blanks": b"  \r\n",
    "words": b"model=m",
    "cut": b'{"model":"m","messages":[',
    "cut string": b'{"model":"m',
    "two objects": b'{"model":"m"}{"model":"n"}',
    "more behind": b'{"model":"m"}x',
    "single quotes": b"{'model':'m'}",
    "a comma too many": b'{"model":"m",}',
    "a comment": b'{"model":"m"/* */}',
    "a bare name": b'{model:"m"}',
    "NaN": b'{"model":"m","temperature":NaN}',
    "a leading zero": b'{"model":"m","n":01}',
    "a control character": b'{"model":"m\n"}',
    "a bad escape": b'{"model":"\\x"}',
    "half a surrogate": b'{"model":"\\ud800"}',
    "no UTF-8": b'{"model":"\xff"}',
    "no UTF-8 deep inside": b'{"model":"m","messages":[{"role":"user","content":"\xc3\x28"}]}',
    "UTF-16": '{"model":"m"}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"model":"m"}',
    "NUL": b'{"model":"m"}\0',
    "depth": b'{"model":"m","messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "depth without an end": b"[" * 200_000,
}


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON.keys())
async def test_invalid_json_is_a_400(body: bytes, up: Upstream, gw: Gateway) -> None:
    message = assert_error(await post(gw, body), 400, "invalid_json")
    assert "JSON" in message
    assert up.connections == []


@pytest.mark.parametrize("body", [b"[]", b'["model"]', b'"model"', b"1", b"null", b"true", b'[{"model":"m"}]'])
async def test_json_that_is_not_an_object_is_a_400(body: bytes, up: Upstream, gw: Gateway) -> None:
    assert_error(await post(gw, body), 400, "invalid_body")
    assert up.connections == []


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("model", [1, 1.5, True, False, [1], ["m", None], [["m"]], {}, {"name": "m"}]),
        ("stream", [0, 1, "true", "", [], {}, "null"]),
        ("messages", ["hi", {}, {"role": "user"}, 1, True, "", None]),
        ("stream_options", [True, "include_usage", [], 1]),
    ],
)
@pytest.mark.parametrize(
    "target", [CHAT, "/api/v1/chat/completions", "/v1/chat/completions/stream", "/proxy/up/chat/completions"]
)
async def test_a_field_of_the_wrong_type_is_a_400_that_names_it(
    field: str, values: list[Any], target: str, up: Upstream, gw: Gateway
) -> None:
    for value in values:
        body = json.dumps({"model": "m", "messages": []} | {field: value}).encode()
        message = assert_error(await post(gw, body, target), 400, "invalid_type", field)
        assert repr(field) in message
    assert up.connections == []


@pytest.mark.parametrize("models", [[], [""], ["m", ""], ["m"] * 65, ["auto", "m"], ["auto", "auto"]])
async def test_an_invalid_list_of_models_is_a_400(models: list[str], up: Upstream, gw: Gateway) -> None:
    body = json.dumps({"model": models, "messages": []}).encode()
    assert_error(await post(gw, body), 400, "invalid_value", "model")
    assert up.connections == []


@pytest.mark.parametrize(
    "target",
    [
        "/v1/embeddings",
        "/v1/responses",
        "/v1/completions",
        "/v1/moderations",
        "/v1/images/generations",
        "/v1/audio/speech",
    ],
)
async def test_other_endpoints_validate_model_and_stream_too(target: str, up: Upstream, gw: Gateway) -> None:
    assert_error(await post(gw, b'{"model":7}', target), 400, "invalid_type", "model")
    assert_error(await post(gw, b'{"model":"m","stream":"yes"}', target), 400, "invalid_type", "stream")
    assert_error(await post(gw, b"{", target), 400, "invalid_json")
    assert up.connections == []


@pytest.mark.parametrize("field", ["model", "stream", "stream_options"])
async def test_null_equals_an_absent_field(field: str, up: Upstream, gw: Gateway) -> None:
    body = json.dumps({"model": "m", "messages": []} | {field: None}).encode()
    assert (await post(gw, body)).status == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"model":"m","messages":[],"model":"m"}', "model"),
        (b'{"model":"m","messages":[],"mod\\u0065l":"n"}', "model"),
        (b'{"stream":false,"model":"m","stream":true}', "stream"),
        (b'{"messages":[],"model":"m","messages":[]}', "messages"),
        (b'{"stream_options":null,"model":"m","stream_options":{}}', "stream_options"),
    ],
)
async def test_a_duplicate_field_is_a_400(body: bytes, field: str, up: Upstream, gw: Gateway) -> None:
    assert_error(await post(gw, body), 400, "duplicate_member", field)
    assert up.connections == []


async def test_unread_fields_are_left_to_the_provider(up: Upstream, gw: Gateway) -> None:
    body = b'{"model":"m","messages":["x",1],"temperature":"hot","n":[],"x":1,"x":2,"tools":7}'
    assert (await post(gw, body)).status == 200
    assert (await up.request()).body == body.replace(b'"m"', b'"up-model"')


@given(
    st.binary(max_size=60)
    | st.recursive(st.none() | st.booleans() | st.text(), st.lists).map(lambda v: json.dumps(v).encode())
)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_body_crashes_the_reader(body: bytes) -> None:
    try:
        call = REQUESTS.read(body)
    except ClientFault:
        return
    assert isinstance(json.loads(body), dict)
    assert call.body == body


# -- the model ------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [CHAT, "/v1/embeddings", "/v1/responses", "/v1/audio/speech"])
async def test_an_unknown_model_is_a_404_with_near_names(target: str, up: Upstream) -> None:
    models = [{"name": name, "provider": "up"} for name in ("gpt-4o", "gpt-4o-mini", "claude")]
    async with Gateway(one_provider(up) | {"models": models}) as gw:
        message = assert_error(
            await post(gw, b'{"model":"gpt-4oo","messages":[]}', target), 404, "model_not_found", "model"
        )
        assert "'gpt-4o'" in message
        assert "claude" not in message
        assert up.connections == []
        line = await gw.settled()
        assert (line["model"], line["outcome"], line["status"], line["attempts"]) == ("gpt-4oo", "error", 404, 0)


@pytest.mark.parametrize("name", ["", " ", "é", "\x00", "\n", "a" * 100_000, "'\"<script>", "\U0001f600", "../m"])
async def test_any_unknown_text_as_model_is_a_404(name: str, up: Upstream, gw: Gateway) -> None:
    answer = await post(gw, json.dumps({"model": name, "messages": []}).encode())
    assert_error(answer, 404, "model_not_found", "model")
    assert len(answer.body) < 2000
    assert (await gw.settled())["status"] == 404


FORM = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\n%b\r\n--b--\r\n'
KIND = "multipart/form-data; boundary=b"


async def test_an_unknown_model_in_a_form_is_a_404_too(up: Upstream, gw: Gateway) -> None:
    for target in ("/v1/audio/transcriptions", "/v1/audio/translations", "/v1/images/edits"):
        assert_error(await post(gw, FORM % b"mm", target, KIND), 404, "model_not_found", "model")
    assert up.connections == []


@pytest.mark.parametrize(
    ("body", "kind", "code"),
    [
        (b"{}", "application/json", "invalid_content_type"),
        (b"{}", "multipart/form-data", "invalid_content_type"),
        (b"{}", "multipart/mixed; boundary=b", "invalid_content_type"),
        (b"hello", KIND, "invalid_multipart"),
        (FORM % b"m" + b"x", "multipart/form-data; boundary=other", "invalid_multipart"),
        ((FORM % b"m")[:-8], KIND, "invalid_multipart"),
        (b"", KIND, "invalid_multipart"),
    ],
)
async def test_a_malformed_form_is_a_400(body: bytes, kind: str, code: str, up: Upstream, gw: Gateway) -> None:
    assert_error(await post(gw, body, "/v1/audio/transcriptions", kind), 400, code)
    assert not any(request.complete.is_set() for request in up.requests)


async def test_two_models_in_a_form_are_a_400(up: Upstream, gw: Gateway) -> None:
    body = (FORM % b"m").removesuffix(b"--b--\r\n") + FORM % b"m"
    assert_error(await post(gw, body, "/v1/audio/transcriptions", KIND), 400, "duplicate_member", "model")
    assert not any(request.complete.is_set() for request in up.requests)


# -- the path and the method ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "target", "status", "code"),
    [
        ("GET", "/index.html", 404, "unknown_path"),
        ("POST", "/chat/completions", 404, "unknown_path"),
        ("POST", "/v1/chat", 404, "unknown_path"),
        ("GET", "/v1/files", 404, "stateful_path"),
        ("GET", "/proxy/nobody/files", 404, "unknown_provider"),
        ("GET", "/v1/organization/users", 403, "forbidden_path"),
        ("GET", "/v1/../etc/passwd", 400, "bad_path"),
        ("GET", CHAT, 405, "method_not_allowed"),
        ("DELETE", "/v1/models", 405, "method_not_allowed"),
        ("PUT", "/v1/embeddings", 405, "method_not_allowed"),
    ],
)
async def test_wrong_paths_and_methods_get_404_and_405(
    method: str, target: str, status: int, code: str, up: Upstream, gw: Gateway
) -> None:
    client = await gw.client()
    answer = await client.fetch(method, target)
    assert_error(answer, status, code)
    assert (answer.header("allow") is not None) == (status == 405)
    assert up.connections == []
    line = await gw.settled()
    assert (line["status"], line["outcome"], line["error"]) == (status, "error", code)


# -- unresponsive providers -----------------------------------------------------------------


async def test_a_name_that_does_not_resolve_is_a_502(up: Upstream) -> None:
    async with Gateway(one_provider(up, provider={"baseUrl": "http://nowhere.invalid/v1"})) as gw:
        answer = await post(gw, b'{"model":"m","messages":[]}')
        assert "nowhere" not in assert_error(answer, 502, "upstream_dns")
        assert "nowhere.invalid" in (await gw.settled())["detail"]


async def test_a_connect_timeout_is_a_504_that_names_the_timeout(up: Upstream) -> None:
    with Blackhole() as hole:
        config = one_provider(up, provider={"baseUrl": hole.url}, timeouts={"connect": 0.1})
        async with Gateway(config) as gw:
            message = assert_error(await post(gw, b'{"model":"m","messages":[]}'), 504, "timeout_connect")
            assert "connect" in message
            assert "127.0.0.1" not in message


@pytest.mark.parametrize(
    ("clock", "body"),
    [
        ("total", b'{"model":"m","messages":[]}'),
        ("headers", b'{"model":"m","stream":true,"messages":[]}'),
        ("firstContent", b'{"model":"m","stream":true,"messages":[]}'),
    ],
)
async def test_an_expired_timeout_is_a_504_that_names_it(clock: str, body: bytes, up: Upstream) -> None:
    up.on(lambda request: [Stall()])
    async with Gateway(one_provider(up, timeouts={clock: 0.1})) as gw:
        message = assert_error(await post(gw, body), 504, f"timeout_{clock}")
        assert clock in message
        assert (await gw.settled())["error"] == f"timeout_{clock}"


# -- answers to errors of every kind --------------------------------------------------------------


async def test_an_error_keeps_the_connection_open(up: Upstream, gw: Gateway) -> None:
    client = await gw.client()
    for body, status in ((b"{", 400), (b'{"model":"x"}', 404), (b'{"model":"m","messages":[]}', 200)) * 2:
        assert (await client.fetch("POST", CHAT, body=body)).status == status


async def test_errors_have_the_request_id_of_the_client(gw: Gateway) -> None:
    client = await gw.client()
    answer = await client.fetch("POST", CHAT, headers=[("X-Request-Id", "my-id.1_2")], body=b"{")
    assert answer.header("x-request-id") == "my-id.1_2"
    assert (await gw.settled())["request_id"] == "my-id.1_2"


@pytest.mark.parametrize("given", ["a b", "a" * 129, "é", "a/b", "", "<x>", "a;b"])
async def test_an_invalid_request_id_is_replaced(given: str, gw: Gateway) -> None:
    client = await gw.client()
    raw = f"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Request-Id: {given}\r\n\r\n"
    await client.send(raw.encode())
    made = (await client.read_answer()).header("x-request-id")
    assert made
    assert made != given
    assert (await gw.settled())["request_id"] == made
