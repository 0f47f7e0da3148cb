from __future__ import annotations

import pytest

from tests.dialects.patches.applied import applied

BODY = (
    b'{"messages" : [ {"role" :"developer", "content":"Say \\"developer\\"", "x":{"role":"developer"}} ,\n'
    b'{"content":[{"type":"text","text":"developer","cache_control":{"type":"ephemeral"}}],"role":"user"},'
    b'{"role":"developer","name":"developer"},{"role":"system"}],"user":"developer"}'
)


def test_developers_messages_become_the_systems_and_all_else_stays() -> None:
    expected = (
        BODY.replace(b'"role" :"developer"', b'"role" :"system"')
        .replace(b'{"role":"developer","name"', b'{"role":"system","name"')
    )  # fmt: skip
    assert applied("chat/completions", "developer-as-system", BODY) == expected


def test_items_that_are_no_messages_keep_their_role() -> None:
    tools = b'{"type":"additional_tools","role":"developer","tools":[]}'
    message = b'{"type":"message","role":"developer","content":[]}'
    body = b'{"input":[%b,%b,{"role":"developer","content":"x"}]}' % (tools, message)
    found = applied("responses", "developer-as-system", body)
    assert found == body.replace(message, message.replace(b"developer", b"system")).replace(
        b'{"role":"developer"', b'{"role":"system"'
    )


@pytest.mark.parametrize("body", [b'{"input":"developer"}', b'{"input":[{"role":"user"}]}', b"{}"])
def test_a_body_without_developers_messages_is_not_changed(body: bytes) -> None:
    assert applied("responses", "developer-as-system", body) is body
