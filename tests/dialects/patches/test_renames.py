from __future__ import annotations

import pytest

from tests.dialects.patches.applied import applied, patch


@pytest.mark.parametrize(
    ("name", "body", "expected"),
    [
        ("max-tokens", b'{"max_completion_tokens": 5e2,"n":1}', b'{"n":1,"max_tokens":5e2}'),
        ("max-tokens", b'{"max_tokens":3,"max_completion_tokens":5}', b'{"max_tokens":3}'),
        ("max-tokens", b'{"max_completion_tokens":null,"n":1}', b'{"n":1}'),
        ("max-tokens", b'{"max_tokens":3}', b'{"max_tokens":3}'),
        ("max-completion-tokens", b'{"max_tokens":3}', b'{"max_completion_tokens":3}'),
        ("random-seed", b'{"seed":7}', b'{"random_seed":7}'),
        ("no-stream-options", b'{"n":1,"stream_options":{"include_usage":true}}', b'{"n":1}'),
        ("no-stream-options", b'{"n":1}', b'{"n":1}'),
    ],
)
def test_a_member_is_renamed_or_left_out(name: str, body: bytes, expected: bytes) -> None:
    assert applied("chat/completions", name, body) == expected


def test_a_member_that_the_provider_refuses_must_not_be_added() -> None:
    assert patch("completions", "no-stream-options").excludes == "stream_options"
