"""How a provider's list of models is requested and read: the format of OpenAI, and the face of the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final, TypeVar

import msgspec
from msgspec import Struct

_T = TypeVar("_T")


class NotAList(Exception):
    """The answer is no list of models."""

    def __init__(self) -> None:
        super().__init__("answers with no list of models")


class ModelPage(Struct, frozen=True):
    """One page of a list. ``names`` as requests name the models; ``following``: query of the next page, or ``""``."""

    names: list[str]
    following: str = ""


class ModelList:
    """A list in one page, as OpenAI has it. Stateless; subclasses are of other APIs.

    ``path``: the endpoint, as for ``ProviderKind.target``. ``query``: of the first page. ``headers``: what the API
    requires beside the credential. ``complete``: a configured model that is not in the list does not exist.
    """

    path: ClassVar[str] = "models"
    query: ClassVar[str] = ""
    headers: ClassVar[Mapping[str, str]] = {}
    complete: ClassVar[bool] = True

    def read(self, body: bytes) -> ModelPage:
        """Read the body of a 200 response. Raises NotAList."""
        found = decoded(_decode, body)
        return ModelPage([entry.id for entry in (found.data if isinstance(found, _Page) else found)])


class _Entry(Struct):
    id: str = ""


class _Page(Struct):
    data: list[_Entry]


# Together sends the array itself: https://docs.together.ai/reference/models-1
_decode: Final = msgspec.json.Decoder(_Page | list[_Entry])


def decoded(decoder: msgspec.json.Decoder[_T], body: bytes) -> _T:
    """The body of a page. Raises NotAList."""
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise NotAList from None
