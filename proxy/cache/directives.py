"""What a request says about the cache: ``x-router-cache``, ``x-router-cache-tags`` and ``Cache-Control``.

``x-router-cache`` takes precedence. Of ``Cache-Control`` these are known (RFC 9111, section 5.2.1): ``no-cache``,
``no-store``, ``max-age`` and ``only-if-cached``. All others are ignored, as the RFC has it.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct
from multidict import MultiMapping, istr

from proxy.errors import ClientFault

HEADER: Final = istr("x-router-cache")  # an istr caches its lower case
TAGS: Final = istr("x-router-cache-tags")
CACHE_CONTROL: Final = istr("Cache-Control")
WORDS: Final = ("off", "refresh", "only")
MOST_TAGS: Final = 16
LONGEST_TAG: Final = 100  # characters

_age: Final = re.compile(r"[0-9]{1,10}").fullmatch
_tag: Final = re.compile(rf"[!-+\--~]{{1,{LONGEST_TAG}}}").fullmatch


class Directives(Struct, frozen=True):
    """``look``: a cached answer may be given. ``keep``: the answer may be stored. ``only``: no provider may be called.

    ``max_age``: seconds; ``None``: as old as the configuration has it.
    """

    look: bool = True
    keep: bool = True
    only: bool = False
    max_age: int | None = None


USUAL: Final = Directives()
OFF: Final = Directives(look=False, keep=False)
REFRESH: Final = Directives(look=False)
ONLY: Final = Directives(only=True)
_OF_WORD: Final = {"off": OFF, "refresh": REFRESH, "only": ONLY, "": None}


def directives_of(headers: MultiMapping[str]) -> Directives:
    """What the request says. Raises ClientFault."""
    if HEADER in headers:
        word = ",".join(headers.getall(HEADER)).strip().lower()
        if word not in _OF_WORD:
            raise ClientFault(
                f"{str(HEADER)!r} must be one of {', '.join(WORDS)}.", param=str(HEADER), code="invalid_value"
            )
        found = _OF_WORD[word]
        if found is not None:
            return found
    return _of_control(",".join(headers.getall(CACHE_CONTROL))) if CACHE_CONTROL in headers else USUAL


def tags_of(headers: MultiMapping[str]) -> tuple[str, ...]:
    """The tags that the answer is stored with. Raises ClientFault."""
    text = ",".join(headers.getall(TAGS, ()))
    tags = tuple(sorted({tag for part in text.split(",") if (tag := part.strip(" \t"))}))
    if len(tags) > MOST_TAGS or not all(map(_tag, tags)):
        raise ClientFault(
            f"{str(TAGS)!r} must be at most {MOST_TAGS} tags of 1 to {LONGEST_TAG} printable ASCII characters,"
            " with commas between them.",
            param=str(TAGS),
            code="invalid_value",
        )
    return tags


def _of_control(text: str) -> Directives:
    look, keep, only, max_age = True, True, False, None
    for part in text.lower().split(","):
        name, _, value = part.strip(" \t").partition("=")
        if name == "no-store":
            return OFF
        if name == "no-cache":
            look = False
        elif name == "only-if-cached":
            only = True
        elif name == "max-age" and _age(value := value.strip('"')):
            max_age = int(value)
    if only:
        look = True  # else nothing could be answered
    return USUAL if (look, only, max_age) == (True, False, None) else Directives(look, keep, only, max_age)
