"""Cache breakpoints of a request: ``cache_control`` of blocks and tools.

https://platform.claude.com/docs/en/build-with-claude/prompt-caching: at most four, and none of an hour behind one of
five minutes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, TypeAlias

from proxy.dialects.translation.conversation import CacheMark
from proxy.dialects.translation.loss import Losses

Block: TypeAlias = dict[str, Any]

MOST: Final = 4
_MEMBER: Final = "cache_control"
_LONG: Final = "1h"
_TTLS: Final = frozenset({"5m", _LONG})
_is_long: Final = re.compile(r"\d+[hd]").fullmatch
_CANNOT: Final = frozenset({"thinking", "redacted_thinking"})


def add(block: Block, mark: CacheMark | None) -> None:
    """Mark a block, unless it is marked already."""
    if mark is not None and _MEMBER not in block:
        block[_MEMBER] = {"type": "ephemeral", "ttl": mark.ttl} if mark.ttl else {"type": "ephemeral"}


def add_last(blocks: list[Block], mark: CacheMark | None) -> None:
    """Mark the last block that may have a mark."""
    last = next((block for block in reversed(blocks) if block["type"] not in _CANNOT), None)
    if last is not None:
        add(last, mark)


def move(sources: Iterable[Block], target: Block) -> None:
    """Move marks from blocks within a block to that block: only it can have one."""
    for source in sources:
        found = source.pop(_MEMBER, None)
        if found is not None:
            target[_MEMBER] = found


def settle(blocks: Iterable[Block], losses: Losses, name: str) -> None:
    """Leave only marks that the API takes. ``blocks``: all in the order of the prompt: tools, system, messages.

    Of too many marks the first remains, as it is shared by most requests, and the last ones.
    """
    marked = [block for block in blocks if _MEMBER in block]
    for block in marked[1 : 1 - MOST] if len(marked) > MOST else ():
        del block[_MEMBER]
        losses.drop(name)
    short = False  # a mark of five minutes stands before
    for control in (block[_MEMBER] for block in marked if _MEMBER in block):
        ttl = control.pop("ttl", "")
        if ttl not in _TTLS | {""} or (ttl == _LONG and short):
            losses.drop(name)
            ttl = _LONG if _is_long(ttl) and not short else ""
        if ttl:
            control["ttl"] = ttl
        short = short or ttl != _LONG
