"""What Codex is told of a call that a budget refuses.

It replaces the message of ``insufficient_quota`` by "Quota exceeded. Check your plan and billing details.", so its user
would not know which budget that is. For ``usage_limit_reached`` it shows the header ``x-codex-promo-message``, and
repeats the request neither.
Seen with Codex 0.171; source: codex-rs/codex-api/src/api_bridge.rs, codex-rs/protocol/src/error.rs
"""

from __future__ import annotations

from typing import Final

import msgspec
from multidict import CIMultiDictProxy, istr

from proxy.dialects.openai.error_object import error_object
from proxy.dialects.openai.writer import ResponsesWriter
from proxy.errors import GatewayError

_ORIGINATOR: Final = istr("originator")  # codex_exec, codex_cli_rs, codex_vscode, Codex Desktop
_encode: Final = msgspec.json.Encoder().encode


class CodexQuotaWriter(ResponsesWriter):
    """An exceeded quota, as Codex shows it. The code is the usual one."""

    def error_body(self, fault: GatewayError) -> bytes:
        return _encode({"error": error_object(fault) | {"type": "usage_limit_reached"}})


QUOTA_WRITER: Final = CodexQuotaWriter()


def is_codex(headers: CIMultiDictProxy[str]) -> bool:
    """Whether Codex sent these headers of a request."""
    return headers.get(_ORIGINATOR, "").lower().startswith("codex")


def shown_line(fault: GatewayError) -> bytes:
    """The header line whose text Codex shows, without the last full stop: it adds ", or try again later."."""
    text = fault.message.removesuffix(".").encode("ascii", "replace")
    return b"x-codex-promo-message: %b\r\n" % text
