from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.renaming import renamed, renamed_event

CHAT = (("model",),)
MESSAGES = (("model",), ("message", "model"))


@pytest.mark.parametrize(
    ("document", "changed"),
    [
        (b'{"id":"1","model":"up","x":{"model":"kept"}}', b'{"id":"1","model":"me","x":{"model":"kept"}}'),
        (b'{ "model" : "up\\"x" }', b'{ "model" : "me" }'),
        (b'{"type":"message_start","message":{"id":"1","model":"up"}}', None),
        (b'{"text":"\\"model\\":\\"up\\""}', None),
        (b'{"model":null}', None),
        (b'{"model":{"name":"up"}}', None),
        (b'[{"model":"up"}]', None),
        (b'{"model":', None),
        (b"", None),
    ],
)
def test_only_the_name_at_its_place_changes(document: bytes, changed: bytes | None) -> None:
    assert renamed(document, CHAT, b'"me"') == (document if changed is None else changed)


def test_a_place_may_be_within_another_member() -> None:
    document = b'{"type":"message_start","message":{"id":"1","model":"up","content":[]}}'
    assert renamed(document, MESSAGES, b'"me"') == document.replace(b'"up"', b'"me"')


@pytest.mark.parametrize(
    ("block", "changed"),
    [
        (b'data: {"model":"up"}\n\n', b'data: {"model":"me"}\n\n'),
        (b'event: x\r\ndata:{"model":"up"}\r\n\r\n', b'event: x\r\ndata:{"model":"me"}\r\n\r\n'),
        (b'id: 1\ndata: {"model":"up"}\nretry: 5\n\n', b'id: 1\ndata: {"model":"me"}\nretry: 5\n\n'),
        (b"data: [DONE]\n\n", None),
        (b': {"model":"up"}\n\n', None),
        (b'data: {"model":\ndata: "up"}\n\n', None),
    ],
)
def test_an_event_keeps_its_framing(block: bytes, changed: bytes | None) -> None:
    assert renamed_event(block, CHAT, b'"me"') == (block if changed is None else changed)


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=8) | st.integers() | st.none(), max_size=6), st.text())
def test_the_rest_of_a_document_is_the_same(document: dict[str, object], name: str) -> None:
    found = renamed(json.dumps(document).encode(), CHAT, json.dumps(name).encode())
    expected = document | ({"model": name} if isinstance(document.get("model"), str) else {})
    assert json.loads(found) == expected
