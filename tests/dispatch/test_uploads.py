"""Uploads on their way through: multipart forms, spooled only until the model is known, and opaque bodies."""

from __future__ import annotations

import asyncio
import gzip
import resource
from typing import Any

import pytest

from tests.support import (
    Chunk,
    Close,
    Headers,
    LastChunk,
    PauseReading,
    RawClient,
    Reset,
    ResumeReading,
    Send,
    Stall,
    Upstream,
    Wait,
    answered_by,
    error_json,
    json_answer,
    unspliced,
    until,
    within,
)
from tests.support.answers import compact
from tests.support.clock import LoopClock
from tests.support.gateway import Gateway, one_provider
from tests.support.upstream import Request

PATH = "/v1/audio/transcriptions"
TYPE = [("Content-Type", 'multipart/form-data; boundary="limit"')]
SOUND = bytes(range(256)) * 40
TEXT = {"text": "Hello"}
MB = 1024 * 1024

Part = tuple[str, bytes] | tuple[str, bytes, str]


def form(*parts: Part, boundary: bytes = b"limit") -> bytes:
    """A multipart/form-data body; a part is (name, value) or (name, content, file name)."""
    pieces = []
    for name, value, *file in parts:
        named = f'; filename="{file[0]}"\r\nContent-Type: audio/wav' if file else ""
        pieces.append(
            b'--%b\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n'
            % (boundary, name.encode(), named.encode(), value)
        )
    return b"".join(pieces) + b"--%b--\r\n" % boundary


def sound(content: bytes = SOUND) -> Part:
    return ("file", content, "a.wav")


def chunked(body: bytes, size: int = 1000) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


ORDERS = {
    "model first": lambda model: form(("model", model), sound(), ("language", b"en")),
    "model last": lambda model: form(("language", b"en"), sound(), ("model", model)),
    "model between": lambda model: form(sound(), ("model", model), sound()),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", [b"m", b"up/m", b"up-model", b"up/up-model"])
async def test_only_the_model_is_replaced_at_any_position(order: str, name: bytes) -> None:
    make = ORDERS[order]
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        up.queue(json_answer(TEXT))
        client = await gw.client()
        answer = await client.fetch("POST", PATH, headers=TYPE, body=make(name))
        assert answer.status == 200
        assert unspliced(answer.body) == (compact(TEXT), answered_by())
        request = await up.request(0)
        assert request.target == "/v1/audio/transcriptions"
        assert bytes(request.body) == make(b"up-model")
        assert request.header("content-length") == str(len(make(b"up-model")))
        assert request.header("content-type") == TYPE[0][1]
        assert request.header("authorization") == "Bearer secret-key"
        line = await gw.settled()
        assert (line["model"], line["upstream_model"], line["endpoint"]) == (
            name.decode(),
            "up-model",
            "audio/transcriptions",
        )
        assert answer.header("x-router-model") == "m"


@pytest.mark.parametrize("path", ["/v1/audio/translations", "/api/v1/images/edits", "/proxy/up/audio/transcriptions"])
async def test_every_form_endpoint_accepts_forms(path: str) -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        up.queue(json_answer(TEXT))
        client = await gw.client()
        answer = await client.fetch("POST", path, headers=TYPE, body=form(("model", b"m"), sound()))
        assert answer.status == 200
        assert (await up.request(0)).target == "/v1/" + "/".join(path.split("/")[-2:])


@pytest.mark.parametrize("before", [b"", b"\r\n", b"\r\n\r\n"])
async def test_a_form_without_a_model_gets_the_first_usable_one(before: bytes) -> None:
    models = [{"name": "m", "provider": "up", "model": "up-model", "type": "audio"}]
    async with Upstream() as up, Gateway(one_provider(up, models=models)) as gw:
        up.queue(json_answer(TEXT))
        client = await gw.client()
        body = before + form(("language", b"en"), sound())
        answer = await client.fetch("POST", PATH, headers=TYPE, body=body)
        assert answer.status == 200
        request = await up.request(0)
        assert request.header("content-length") == str(len(request.body))
        fields = parts_of(request)
        assert fields["model"] == b"up-model"
        assert (fields["language"], fields["file"]) == (b"en", SOUND)


def parts_of(request: Request) -> dict[str, bytes]:
    """The fields as a strict reader sees them."""
    from python_multipart import MultipartParser

    found: dict[str, bytes] = {}
    header, value = bytearray(), bytearray()

    def name() -> str:
        return bytes(header).split(b'name="')[1].split(b'"')[0].decode()

    parser = MultipartParser(
        b"limit",
        {
            "on_part_begin": lambda: (header.clear(), value.clear()),
            "on_header_value": lambda data, start, end: header.extend(data[start:end]),
            "on_part_data": lambda data, start, end: value.extend(data[start:end]),
            "on_part_end": lambda: found.__setitem__(name(), bytes(value)),
        },
    )
    parser.write(bytes(request.body))
    parser.finalize()
    return found


async def test_a_chunked_form_is_forwarded_chunked() -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        up.queue(json_answer(TEXT))
        client = await gw.client()
        body = form(sound(), ("model", b"m"), sound())
        head = [*TYPE, ("Transfer-Encoding", "chunked")]
        answer = await client.fetch("POST", PATH, headers=head, body=chunked(body))
        assert answer.status == 200
        request = await up.request(0)
        assert bytes(request.body) == body.replace(b"\r\n\r\nm\r\n", b"\r\n\r\nup-model\r\n")
        assert request.header("content-length") is None


async def test_a_compressed_form_is_decoded_while_forwarded() -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        up.queue(json_answer(TEXT))
        client = await gw.client()
        body = form(("model", b"m"), sound())
        head = [*TYPE, ("Content-Encoding", "gzip")]
        assert (await client.fetch("POST", PATH, headers=head, body=gzip.compress(body))).status == 200
        request = await up.request(0)
        assert bytes(request.body) == body.replace(b"\r\n\r\nm\r\n", b"\r\n\r\nup-model\r\n")
        assert request.header("content-encoding") is None


async def test_the_upload_streams_once_the_model_is_known() -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        up.queue(json_answer(TEXT))
        client = await gw.client()
        body = form(("model", b"m"), sound())
        split = body.index(b"--limit", 10) + 20
        request = client.encode("POST", PATH, TYPE, body)
        head = request[: -len(body)]
        await client.send(head + body[:30])
        await until(lambda: gw.app.metrics.in_flight == 1, "the gateway to have begun")
        assert up.requests == []
        await client.send(body[30:split])
        arrived = await up.head(0)
        await until(lambda: b"up-model" in arrived.body, "the first part to be there")
        assert not arrived.complete.is_set()
        await client.send(body[split:])
        client._methods.append("POST")
        assert (await client.read_answer()).status == 200


async def test_thirty_megabytes_before_the_model_are_spooled_to_a_file() -> None:
    content = bytes(30 * MB)
    body = form(sound(content), ("model", b"m"))
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        up.queue(json_answer(TEXT))
        client = await gw.client()
        answer = await client.fetch("POST", PATH, headers=TYPE, body=body)
        assert answer.status == 200
        request = await up.request(0)
        assert len(request.body) == len(body) + len("up-model") - len("m")
        assert request.body.endswith(form(("model", b"up-model"))[len(b"--limit") :])
        assert (await gw.settled())["bytes_in"] == len(body)
        context = gw.app.gateway._context  # type: ignore[union-attr]
        assert context.budget.used == 0


async def test_a_model_beyond_the_body_limit_is_a_413() -> None:
    body = form(sound(bytes(2 * MB)), ("model", b"m"))
    async with Upstream() as up, Gateway(one_provider(up, server={"maxBodyMb": 1})) as gw:
        client = await gw.client()
        await client.send(client.encode("POST", PATH, [*TYPE, ("Content-Length", str(len(body)))], b""))
        assert (await client.read_answer()).status == 413
        client = await gw.client()
        await client.send(client.encode("POST", PATH, [*TYPE, ("Transfer-Encoding", "chunked")], b""))
        sending = asyncio.ensure_future(client.send(chunked(body, 64 * 1024)))
        assert (await client.read_answer()).status == 413
        sending.cancel()
        await asyncio.wait({sending})
        assert up.requests == []


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (form(("model", b"m"), ("model", b"m")), "duplicate_member", "model"),
        (form(sound(), ("model", b"m"))[:-30], "invalid_multipart", None),
        (form(("language", b"en"))[:-9], "invalid_multipart", None),
        (b"no form at all", "invalid_multipart", None),
        (b"", "invalid_multipart", None),
        (form(("model", b"\xff")), "invalid_multipart", None),
        (form(("model", b"m" * 2000)), "invalid_multipart", None),
    ],
    ids=["two models", "cut in the model", "cut without one", "no form", "nothing", "no text", "a long name"],
)
async def test_a_malformed_form_is_a_400(body: bytes, code: str, param: str | None) -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        up.on(lambda request: json_answer(TEXT))
        client = await gw.client()
        answer = await client.fetch("POST", PATH, headers=TYPE, body=body)
        assert answer.status == 400
        assert (answer.json["error"]["code"], answer.json["error"]["param"]) == (code, param)
        assert all(not request.complete.is_set() for request in up)


@pytest.mark.parametrize("kind", [None, "application/json", "multipart/form-data", "multipart/mixed; boundary=x"])
async def test_a_body_with_another_content_type_is_a_400(kind: str | None) -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        client = await gw.client()
        head = [("Content-Type", kind)] if kind else []
        answer = await client.fetch("POST", PATH, headers=head, body=form(("model", b"m")))
        assert (answer.status, answer.json["error"]["code"]) == (400, "invalid_content_type")
        assert up.requests == []


async def test_an_unknown_model_is_a_404_before_any_attempt() -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        client = await gw.client()
        answer = await client.fetch("POST", PATH, headers=TYPE, body=form(("model", b"nobody"), sound()))
        assert (answer.status, answer.json["error"]["code"]) == (404, "model_not_found")
        assert up.requests == []


async def test_a_second_model_after_the_upload_has_begun_stops_it() -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        client = await gw.client()
        body = form(("model", b"m"), sound(), ("model", b"other"))
        request = client.encode("POST", PATH, TYPE, body)
        await client.send(request[:-60])
        arrived = await up.head(0)
        await client.send(request[-60:])
        client._methods.append("POST")
        answer = await client.read_answer()
        assert (answer.status, answer.json["error"]["code"]) == (400, "duplicate_member")
        await within(arrived.gone.wait(), "the provider to be left")
        assert not arrived.complete.is_set()


# -- a provider that answers, or dies, before the upload is over -------------------------------------------


async def begin_upload(gw: Gateway, up: Upstream) -> tuple[RawClient, Request, bytes]:
    """Half a form is on its way; the client then waits. The rest is returned."""
    client = await gw.client()
    request = client.encode("POST", PATH, TYPE, form(("model", b"m"), sound(bytes(200_000))))
    client._methods.append("POST")
    await client.send(request[:100_000])
    return client, await up.head(0), request[100_000:]


async def test_an_early_error_reaches_a_client_that_is_still_uploading() -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        up.on_head(lambda request: json_answer(error_json("Too long", kind="invalid_request_error"), 413))
        client, arrived, _ = await begin_upload(gw, up)
        answer = await client.read_answer()
        assert (answer.status, answer.json["error"]["message"]) == (413, "Too long")
        await within(arrived.gone.wait(), "the half-used connection to be dropped")
        assert (await gw.settled())["status"] == 413


async def test_an_early_streaming_response_reaches_a_client_that_is_still_uploading() -> None:
    go = asyncio.Event()
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        head = Headers(200, [("Content-Type", "text/plain"), ("Transfer-Encoding", "chunked")])
        up.on_head(lambda request: [head, Chunk(b"one "), Wait(go), Chunk(b"two"), LastChunk()])
        client, _, rest = await begin_upload(gw, up)
        assert (await client.read_head()).status == 200
        assert await client.read_chunk() == b"one "
        await client.send(rest)
        go.set()
        assert await client.read_body() == b"two"
        assert (await gw.settled())["outcome"] == "ok"


@pytest.mark.parametrize("death", [Close(), Reset()], ids=["close", "reset"])
async def test_a_provider_that_dies_during_the_upload_is_a_502_at_once(death: Close | Reset) -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        up.on_head(lambda request: [death])
        client, _, _ = await begin_upload(gw, up)
        answer = await client.read_answer()
        assert (answer.status, answer.json["error"]["code"]) == (502, "upstream_disconnected")


async def test_a_timeout_expires_during_the_upload() -> None:
    clock = LoopClock()
    async with Upstream() as up, Gateway(one_provider(up, timeouts={"total": 5})) as gw:
        up.on_head(lambda request: [Stall()])
        client, arrived, _ = await begin_upload(gw, up)
        await clock.advance(5)
        answer = await client.read_answer()
        assert (answer.status, answer.json["error"]["code"]) == (504, "timeout_total")
        await within(arrived.gone.wait(), "the provider to be left")


async def test_a_stalled_upload_is_a_408_and_cancels_the_upstream_request() -> None:
    async with Upstream() as up, Gateway(one_provider(up, server={"bodyTimeoutSecs": 0.5})) as gw:
        up.on_head(lambda request: [Stall()])
        client = await gw.client()
        client._methods.append("POST")
        await client.send(client.encode("POST", PATH, TYPE, form(("model", b"m"), sound()))[:400])
        arrived = await up.head(0)
        answer = await client.read_answer()
        assert (answer.status, answer.json["error"]["code"]) == (408, "body_timeout")
        await within(arrived.gone.wait(), "the provider to be left")
        assert not arrived.complete.is_set()


@pytest.mark.parametrize("leave", ["close", "reset", "half_close"])
async def test_a_disconnect_during_the_upload_cancels_the_upstream_request(leave: str) -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        up.on_head(lambda request: [Stall()])
        client, arrived, _ = await begin_upload(gw, up)
        getattr(client, leave)()
        await within(arrived.gone.wait(), "the provider to be left")
        assert not arrived.complete.is_set()
        assert (await gw.settled())["outcome"] == "client_gone"


async def test_a_disconnect_during_the_upload_is_not_drained() -> None:
    """Half a request has no answer that could be read on."""
    async with Upstream() as up, Gateway(one_provider(up, provider={"onDisconnect": "drain"})) as gw:
        up.on_head(lambda request: [Stall()])
        client, arrived, _ = await begin_upload(gw, up)
        client.close()
        await within(arrived.gone.wait(), "the provider to be left")
        assert (await gw.settled())["outcome"] == "client_gone"


# -- backpressure -------------------------------------------------------------------------------------------


async def test_a_provider_that_does_not_read_pauses_the_client() -> None:
    size = 40 * MB
    go = asyncio.Event()
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        answer = json_answer(TEXT)
        up.on_head(lambda request: [PauseReading(), Wait(go), ResumeReading()])
        client = await gw.client()
        body = form(("model", b"m"), sound(bytes(size)))
        await client.send(client.encode("POST", PATH, TYPE, body)[: -len(body)] + body[:1000])
        client._methods.append("POST")
        arrived = await up.head(0)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        sent = 0

        async def send() -> None:
            nonlocal sent
            view = memoryview(body)[1000:]
            for at in range(0, len(view), 256 * 1024):
                await client.send(bytes(view[at : at + 256 * 1024]))
                sent += 256 * 1024

        sending = asyncio.ensure_future(send())
        await stands_still(lambda: sent)
        assert sent < size / 2, "the gateway took the upload although the provider did not"
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
        assert grown < 10 * MB
        go.set()
        await within(sending, "the rest to be taken")
        await within(arrived.complete.wait(), "the whole upload")
        assert len(arrived.body) == len(body) + 7
        connection = arrived.connection
        for step in answer:
            connection._transport.write(step.data)  # type: ignore[union-attr]
        assert (await client.read_answer()).status == 200


async def stands_still(progress: Any) -> None:
    """Wait until ``progress`` has not changed for a fifth of a second."""
    last, since = progress(), asyncio.get_running_loop().time()
    while asyncio.get_running_loop().time() < since + 0.2:
        await asyncio.sleep(0.01)
        if progress() != last:
            last, since = progress(), asyncio.get_running_loop().time()


# -- opaque bodies ------------------------------------------------------------------------------------------


async def test_a_passthrough_body_is_forwarded_unchanged() -> None:
    body = gzip.compress(b"no form") + bytes(range(256))
    async with Upstream() as up, Gateway(one_provider(up, provider={"passthrough": ["POST /uploads"]})) as gw:
        up.on(lambda request: json_answer({"id": "upload_1"}))
        client = await gw.client()
        head = [("Content-Type", "application/x-whatever"), ("Content-Encoding", "gzip")]
        answer = await client.fetch("POST", "/proxy/up/uploads/x?part=1", headers=head, body=body)
        assert answer.json == {"id": "upload_1"}
        request = await up.request(0)
        assert (bytes(request.body), request.target) == (body, "/v1/uploads/x?part=1")
        assert request.header("content-length") == str(len(body))
        assert request.header("content-encoding") == "gzip"
        head[1] = ("Transfer-Encoding", "chunked")
        await client.fetch("POST", "/proxy/up/uploads/x", headers=head, body=chunked(body, 100))
        request = await up.request(1)
        assert bytes(request.body) == body
        assert request.header("content-length") is None


async def test_a_large_passthrough_body_streams_in_both_directions() -> None:
    async with Upstream() as up, Gateway(one_provider(up, provider={"passthrough": ["GET /files"]})) as gw:
        content = bytes(range(256)) * 4 * 1024 * 8
        head = Headers(200, [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(content)))])
        up.queue([head, Send(content)])
        client = await gw.client()
        answer = await client.fetch("GET", "/proxy/up/files/f/content")
        assert answer.body == content
        assert answer.header("content-length") == str(len(content))
        assert up.requests[0].header("content-length") is None
        assert up.requests[0].header("transfer-encoding") is None
