from __future__ import annotations

import json
from typing import Any

from proxy.dialects.openai.call import REQUESTS
from proxy.dialects.patches.base import change_of, prepare
from proxy.dialects.patches.table import PATCHES
from proxy.wire.elements import MAX_ELEMENTS
from tests.dialects.patches.applied import applied, patch

MB = 1024 * 1024
DEVELOPER = {"role": "developer", "content": "Be brief."}


def chat(*messages: Any, **more: Any) -> bytes:
    return json.dumps({"model": "m", "messages": messages} | more).encode()


def test_a_large_body_is_looked_at_in_steps_and_the_changes_are_kept() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 4 * MB}}
    body = chat({"role": "user", "content": [image]}, DEVELOPER, max_completion_tokens=5)
    call = REQUESTS.read(body)
    patches = PATCHES["chat/completions"]
    assert len(list(prepare(call, patches))) > 8  # two patches search it, in pieces
    assert call.changes is not None
    assert {each.name for each, change in call.changes.items() if change is not None} == {
        "developer-as-system",
        "max-tokens",
    }
    assert call.changes == {each: change_of(each, call.members) for each in patches}


def test_the_mark_is_found_across_the_border_of_two_pieces() -> None:
    begin = len(chat("")) - len('""]}')  # of the text
    for shift in range(-12, 12):
        padding = "x" * (MB - begin - len('{"role": "user", "content": ""}, ') + shift)
        body = chat({"role": "user", "content": padding}, DEVELOPER)
        assert b'"role": "system"' in applied("chat/completions", "developer-as-system", body)


def test_what_no_provider_could_read_is_left_alone() -> None:
    for messages in (b'"developer"', b"null", b'["developer"]', b'[{"role":"developer"},1]', b'{"role":"developer"}'):
        body = b'{"messages":%b}' % messages
        assert applied("chat/completions", "developer-as-system", body) is body
        assert applied("chat/completions", "short-tool-ids", body.replace(b"developer", b"tool_calls")) is not None


def test_a_body_with_too_many_messages_or_calls_is_left_alone() -> None:
    """Looking at each of them would block the loop."""
    for element, number in ((b'"developer",', 80_000), (b'{"role":"developer"},', MAX_ELEMENTS)):
        body = b'{"messages":[%b{}]}' % (element * number)
        assert applied("chat/completions", "developer-as-system", body) is body
    body = b'{"messages":[{"tool_calls":[%b{}]}]}' % (b'{"id":"call_1"},' * MAX_ELEMENTS)
    assert applied("chat/completions", "short-tool-ids", body) is body


def test_a_patch_is_shown_by_its_name() -> None:
    assert repr(patch("completions", "random-seed")) == "<Patch random-seed>"
