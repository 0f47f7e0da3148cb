from __future__ import annotations

import pytest

from proxy.providers.credential import CREDENTIALS


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("bearer", b"Authorization: Bearer k\r\n"),
        ("api-key", b"api-key: k\r\n"),
        ("x-api-key", b"x-api-key: k\r\n"),
        ("x-goog-api-key", b"x-goog-api-key: k\r\n"),
    ],
)
def test_a_key_stands_in_the_header_of_its_kind(name: str, line: bytes) -> None:
    assert CREDENTIALS[name].line("k") == line


def test_without_a_key_no_line_is_sent() -> None:
    assert CREDENTIALS["bearer"].line("") == b""
