"""The demo over real sockets: with the openai package, and raw where bytes and endings matter."""

from __future__ import annotations

import base64
import json
import select
import socket
import struct
import zlib

import openai
import pytest
from openai import AsyncOpenAI

from proxy.demo.models import MODELS
from proxy.demo.server import MAX_JSON, Demo
from tests.demo.calls import ask
from tests.support import RawClient, until
from tests.support.gateway import Process


def nothing_more(client: RawClient) -> bool:
    """Whether the socket holds nothing to read at this moment."""
    return not select.select([client._socket], [], [], 0)[0]


async def post(client: RawClient, model: str, *, stream: bool = True) -> None:
    await client.request("POST", "/v1/chat/completions", json=ask(model=model, stream=stream))


# pace


async def test_words_are_sent_at_the_rate_of_the_model(paced: Demo) -> None:
    async with RawClient(await paced.start()) as raw:
        await post(raw, "demo-slow")
        await raw.read_head()
        assert b'"role"' in await raw.read_event()
        assert nothing_more(raw)  # the first word takes a quarter of a second
        assert b'"content"' in await raw.read_event()


# other endpoints


async def test_embeddings_are_unit_vectors_that_depend_on_the_text(sdk: AsyncOpenAI) -> None:
    # The package requests base64 by default and decodes it.
    packed = await sdk.embeddings.create(model="demo-embedding", input=["a", "b", "a"])
    plain = await sdk.embeddings.create(model="demo-embedding", input="a", encoding_format="float", dimensions=256)
    first, second, third = (each.embedding for each in packed.data)
    assert first == third != second
    assert first == pytest.approx(plain.data[0].embedding, abs=1e-6)
    assert sum(value * value for value in first) == pytest.approx(1, abs=1e-5)
    assert packed.usage.prompt_tokens == 3


async def test_embeddings_take_token_ids(sdk: AsyncOpenAI) -> None:
    one = await sdk.embeddings.create(model="demo-embedding", input=[1, 2], dimensions=3)
    two = await sdk.embeddings.create(model="demo-embedding", input=[[1, 2], [3]], dimensions=3)
    assert [len(one.data), len(two.data), len(one.data[0].embedding)] == [1, 2, 3]
    assert one.data[0].embedding == two.data[0].embedding


async def test_moderations_flag_by_words(sdk: AsyncOpenAI) -> None:
    answer = await sdk.moderations.create(input=["a calm day", "kill it"])
    assert [result.flagged for result in answer.results] == [False, True]


async def test_an_image_is_a_png(sdk: AsyncOpenAI) -> None:
    answer = await sdk.images.generate(model="demo-image", prompt="blue", n=2)
    image = base64.b64decode(answer.data[0].b64_json)
    assert len(answer.data) == 2
    assert image.startswith(b"\x89PNG\r\n\x1a\n")
    length = struct.unpack(">I", image[33:37])[0]
    assert image[37:41] == b"IDAT"
    assert len(zlib.decompress(image[41 : 41 + length])) == 16 * (1 + 3 * 16)


async def test_images_can_be_streamed(sdk: AsyncOpenAI) -> None:
    stream = await sdk.images.generate(model="demo-image", prompt="blue", stream=True, partial_images=2)
    assert [event.type for event in [e async for e in stream]] == [
        "image_generation.partial_image",
        "image_generation.partial_image",
        "image_generation.completed",
    ]


async def test_an_edit_names_the_received_image(sdk: AsyncOpenAI) -> None:
    answer = await sdk.images.edit(model="demo-image", prompt="bluer", image=("a.png", b"x" * 321, "image/png"))
    assert answer.data[0].revised_prompt == "bluer (with 321 bytes of a.png)"


async def test_the_server_lists_the_table(sdk: AsyncOpenAI) -> None:
    listed = [model async for model in sdk.models.list()]
    assert [(m.id, m.description) for m in listed] == [(m.name, m.description) for m in MODELS]
    assert (await sdk.models.retrieve("demo-slow-start-3")).id == "demo-slow-start-3"


# mistakes of the client


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{", None),
        (b"[]", None),
        (b'{"model":"\xff","messages":[]}', None),
        (b'{"messages":[{"role":"user","content":"x"}]}', "model"),
        (b'{"model":1,"messages":[]}', "model"),
        (b'{"model":"demo","messages":[]}', "messages"),
        (b'{"model":"demo","messages":[{"content":"x"}]}', "messages"),
        (b'{"model":"demo","messages":[{"role":"user","content":"x"}],"stream":"yes"}', "stream"),
        (b'{"model":"demo","messages":[{"role":"user","content":"x"}],"n":3}', "n"),
    ],
)
async def test_an_invalid_body_is_a_400_that_names_the_member(raw: RawClient, body: bytes, param: str | None) -> None:
    answer = await raw.fetch("POST", "/v1/chat/completions", body=body)
    assert answer.status == 400
    assert answer.json["error"]["type"] == "invalid_request_error"
    assert answer.json["error"]["param"] == param


@pytest.mark.parametrize("name", ["gpt-9", "demo-3", "demo-slow-start-x", "demo-501", ""])
async def test_an_unknown_model_gets_the_error_of_openai(sdk: AsyncOpenAI, name: str) -> None:
    with pytest.raises(openai.NotFoundError) as failure:
        await sdk.chat.completions.create(**ask(model=name))
    assert failure.value.code == "model_not_found"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/chat/completions", 405), ("POST", "/v1/models", 405), ("GET", "/v1/nothing", 404)],
)
async def test_wrong_methods_and_paths_are_rejected(raw: RawClient, method: str, path: str, status: int) -> None:
    answer = await raw.fetch(method, path, body=b"{}")
    assert answer.status == status
    assert "error" in answer.json
    assert answer.header("allow") == ({"GET": "POST", "POST": "GET"}[method] if status == 405 else None)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data; boundary=b", b"no form at all"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\ndemo\r\n--b--\r\n',
        ),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="a\x11b"\r\n\r\ndemo\r\n--b--\r\n',
        ),
        ("multipart/form-data", b"--b--"),
        ("application/json", b"{}"),
    ],
)
async def test_a_form_without_a_file_is_rejected(raw: RawClient, kind: str, body: bytes) -> None:
    answer = await raw.fetch("POST", "/v1/audio/transcriptions", headers=[("Content-Type", kind)], body=body)
    assert answer.status == 400
    assert answer.json["error"]["type"] == "invalid_request_error"


async def test_a_body_over_the_limit_is_rejected(raw: RawClient) -> None:
    await raw.request("POST", "/v1/embeddings", [("Content-Length", str(MAX_JSON + 1))])
    await raw.send(b" " * (MAX_JSON + 1))
    assert (await raw.read_head()).status == 413


# faults


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [
        ("demo-429", 429, "rate_limit_exceeded"),
        ("demo-500", 500, "server_error"),
        ("demo-503", 503, "service_unavailable"),
        ("demo-401", 401, "invalid_api_key"),
        ("demo-404", 404, "model_not_found"),
        ("demo-400-context", 400, "context_length_exceeded"),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_a_fault_can_be_a_status(raw: RawClient, model: str, status: int, code: str, stream: bool) -> None:
    await post(raw, model, stream=stream)
    answer = await raw.read_answer()
    assert (answer.status, answer.json["error"]["code"]) == (status, code)


async def test_the_rate_limit_has_retry_after(raw: RawClient) -> None:
    for model, seconds in (("demo-429", "2"), ("demo-429-7", "7")):
        await post(raw, model)
        assert (await raw.read_answer()).header("retry-after") == seconds


async def test_every_second_request_of_the_flaky_model_fails(raw: RawClient) -> None:
    statuses = []
    for _ in range(4):
        await post(raw, "demo-flaky", stream=False)
        statuses.append((await raw.read_answer()).status)
    assert statuses == [500, 200, 500, 200]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_cut_closes_the_connection_within_the_body(raw: RawClient, stream: bool) -> None:
    await post(raw, "demo-cut", stream=stream)
    assert (await raw.read_head()).status == 200
    with pytest.raises(AssertionError, match="the connection ended"):
        await raw.read_body()
    assert b"Hello" in raw.received
    assert b'"stop"' not in raw.received


async def test_a_truncated_stream_ends_cleanly_without_its_last_events(raw: RawClient) -> None:
    await post(raw, "demo-truncated")
    await raw.read_head()
    body = await raw.read_body()
    assert b'"content"' in body
    assert b'"stop"' not in body
    assert b"[DONE]" not in body


async def test_done_can_be_missing(raw: RawClient) -> None:
    await post(raw, "demo-no-done")
    await raw.read_head()
    assert b'"stop"' in (await raw.read_events())[-1]


async def test_a_stalled_stream_is_silent_after_a_few_words(demo: Demo, raw: RawClient) -> None:
    await post(raw, "demo-stall")
    await raw.read_head()
    for _ in range(5):
        assert await raw.read_event()
    assert demo.running == 1
    raw.close()
    await until(lambda: demo.left == 1, "the client's leaving to be counted")
    assert demo.running == 0


async def test_content_can_start_late_after_an_early_head(raw: RawClient) -> None:
    await post(raw, "demo-slow-start-0.2")
    assert (await raw.read_head()).status == 200
    assert nothing_more(raw)
    assert b'"role"' in await raw.read_event()


async def test_the_head_can_be_late(demo: Demo, raw: RawClient) -> None:
    await post(raw, "demo-slow-headers-0.2")
    await until(lambda: demo.running, "the request to arrive")
    assert nothing_more(raw)
    assert (await raw.read_head()).status == 200


@pytest.mark.parametrize("stream", [True, False])
async def test_an_error_can_follow_a_200(raw: RawClient, stream: bool) -> None:
    await post(raw, "demo-error-first", stream=stream)
    answer = await raw.read_answer()
    assert answer.status == 200
    assert json.loads(answer.body.removeprefix(b"data: "))["error"]["code"] == "demo_broken"


async def test_an_error_can_come_within_the_stream(raw: RawClient) -> None:
    await post(raw, "demo-error-mid")
    await raw.read_head()
    *events, last = await raw.read_events()
    assert b'"content"' in events[-1]
    assert b'"error"' in last


async def test_garbage_is_sent_within_a_complete_stream(raw: RawClient) -> None:
    await post(raw, "demo-garbage")
    await raw.read_head()
    events = await raw.read_events()
    assert events.count(b"data: {this is no JSON\n\n") == 1
    assert b'"stop"' in events[-2]
    assert events[-1] == b"data: [DONE]\n\n"


async def test_comments_can_come_first(raw: RawClient) -> None:
    await post(raw, "demo-comments-0.03")
    await raw.read_head()
    assert (await raw.read_events())[:3] == [b": keep-alive\n\n"] * 3
    await post(raw, "demo-comments-0.03", stream=False)
    answer = await raw.read_answer()
    assert answer.body.startswith(b"\n\n\n{")
    assert answer.json["object"] == "chat.completion"


@pytest.mark.parametrize("stream", [True, False])
async def test_a_response_can_be_empty_or_an_html_page(raw: RawClient, stream: bool) -> None:
    await post(raw, "demo-empty", stream=stream)
    assert (await raw.read_answer()).body == b""
    await post(raw, "demo-html", stream=stream)
    answer = await raw.read_answer()
    assert (answer.status, answer.header("content-type")) == (200, "text/html; charset=utf-8")
    assert answer.body.startswith(b"<!DOCTYPE html>")


# leaving and stopping


async def test_a_disconnect_ends_the_generation_and_is_counted(paced: Demo) -> None:
    async with RawClient(await paced.start()) as client:
        await post(client, "demo-long")
        await client.read_head()
        await client.read_event()
        assert paced.running == 1
    await until(lambda: paced.left, "the client's leaving to be counted")
    assert (paced.running, paced.left, paced.served) == (0, 1, 0)


async def test_closing_after_the_end_is_not_a_disconnect(port: int) -> None:
    async with RawClient(port) as client:
        await post(client, "demo-instant")
        await client.read_head()
        while await client.read_event() != b"data: [DONE]\n\n":
            pass
    async with RawClient(port) as client:
        stats = (await client.fetch("GET", "/stats")).json
    assert stats == {"served": 1, "left": 0, "running": 0}


async def test_the_demo_alone_prints_its_address_and_its_table() -> None:
    args = ["demo", "--host", "127.0.0.1", "--port", "0"]
    async with Process(args) as process, RawClient(process.port) as client:
        assert (await client.fetch("GET", "/v1/models")).status == 200
        process.signal()
        assert await process.wait() == 0
        assert "demo-slow-start" in process.lines[0]
        assert any("content after 20 s" in line for line in process.lines[1:])


async def test_a_stop_ends_running_requests_and_counts_no_disconnects() -> None:
    demo = Demo()
    async with RawClient(await demo.start()) as client:
        await post(client, "demo-stall")
        await client.read_head()
        await demo.stop()
        await client.eof()
    assert (demo.left, demo.running) == (0, 0)


async def test_an_http_1_0_client_gets_a_close_delimited_stream(raw: RawClient) -> None:
    body = json.dumps(ask(stream=True)).encode()
    await raw.send(b"POST /v1/chat/completions HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    assert (await raw.read_head()).header("transfer-encoding") is None
    assert (await raw.read_body()).endswith(b"data: [DONE]\n\n")


def test_a_port_in_use_is_reported_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    from proxy.demo.server import main

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main("127.0.0.1", port) == 1
    assert capsys.readouterr().err.startswith(f"sluice demo: cannot listen on 127.0.0.1:{port}: ")
