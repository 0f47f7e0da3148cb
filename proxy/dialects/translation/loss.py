"""The rule of loss: what a translation cannot carry is told to the client, or the request is refused.

Content and contracts are refused by whoever finds that they are lost: ``raise Untranslatable(path, reason)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from proxy.dialects.translation.absent import AbsentContent, ContentAbsent, MediaPart, wanted_of
from proxy.errors import Untranslatable

_SAME: Final[Mapping[str, str]] = MappingProxyType({})


class Losses:
    """What one translation of a request lost, by the members' paths, such as ``top_k`` or ``messages[].name``.

    ``strict`` (``translate.onLoss: refuse``): nothing may be lost. ``client_names``: what the client calls members that
    encoders name as chat does.
    """

    __slots__ = ("_absent", "_client_names", "_names", "_strict")

    def __init__(self, strict: bool = False, client_names: Mapping[str, str] = _SAME) -> None:
        self._strict = strict
        self._client_names = client_names
        self._names: dict[str, None] = {}
        self._absent: list[AbsentContent] = []

    def drop(self, *names: str) -> None:
        """Metadata or a setting that the dialect lacks. Raises Untranslatable if nothing may be lost."""
        if not names:
            return
        if self._strict:
            raise Untranslatable(self._client_name(names[0]), "It would be left out, and translate.onLoss is refuse.")
        self._names.update(dict.fromkeys(map(self._client_name, names)))

    def tell(self, *names: str) -> None:
        """A repair, or another change that loses nothing of what was meant."""
        self._names.update(dict.fromkeys(names))

    def lack(self, part: MediaPart, name: str, reason: str) -> None:
        """Content that the provider takes no address of. Raises Untranslatable if the part has no address either.

        ``name`` is the client's member. Encoding goes on, so that ``require_content`` names all such content at once.
        """
        wanted = wanted_of(part)
        if wanted is None:
            raise Untranslatable(name, reason)
        self._absent.append(AbsentContent(wanted, name, reason))

    def require_content(self) -> None:
        """End an encoding. Raises ContentAbsent if it lacks content, as its body is not whole then."""
        if self._absent:
            raise ContentAbsent(self._absent)

    def _client_name(self, name: str) -> str:
        return self._client_names.get(name, name)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._names)
