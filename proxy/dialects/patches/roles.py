"""``developer-as-system``: providers that know the roles of the first Chat Completions API only.

https://github.com/earendil-works/pi/issues/1048 (DeepSeek), https://github.com/EKKOLearnAI/hermes-studio/issues/1926
(its Responses API)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from proxy.dialects.patches.base import BodyChange, Steps, moved, objects_with
from proxy.wire.patch import Edit, Members

_DEVELOPER: Final = b'"developer"'
_SYSTEM: Final = b'"system"'
_MESSAGE: Final = b'"message"'


def system_messages(name: str) -> Callable[[Members], Steps]:
    """``Patch.find`` for messages in the member ``name``."""

    def find(members: Members) -> Steps:
        edits: list[Edit] = []
        for message, at in (yield from objects_with(members, name, _DEVELOPER)):
            # Items of the Responses API may have a role without being messages (``additional_tools``).
            if message.raw("role") == _DEVELOPER and message.raw("type") in (None, _MESSAGE):
                edits.append((*moved(message.span("role"), at), _SYSTEM))
        return BodyChange(edits=edits) if edits else None

    return find
