"""The rule of loss: what a translation cannot carry is told to the client, or the request is refused.

Content and contracts are refused by whoever finds that they are lost: ``raise Untranslatable(path, reason)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from proxy.errors import Untranslatable

_SAME: Final[Mapping[str, str]] = MappingProxyType({})


class Losses:
    """What one translation of a request lost, by the members' paths, such as ``top_k`` or ``messages[].name``.

    ``strict`` (``translate.onLoss: refuse``): nothing may be lost. ``client_names``: what the client calls members that
    encoders name as chat does.
    """

    __slots__ = ("_client_names", "_names", "_strict")

    def __init__(self, strict: bool = False, client_names: Mapping[str, str] = _SAME) -> None:
        self._strict = strict
        self._client_names = client_names
        self._names: dict[str, None] = {}

    def drop(self, *names: str) -> None:
        """Metadata or a setting that the dialect lacks. Raises Untranslatable if nothing may be lost."""
        if names and self._strict:
            raise Untranslatable(self._client_name(names[0]), "It would be left out, and translate.onLoss is refuse.")
        self._names.update(dict.fromkeys(map(self._client_name, names)))

    def tell(self, *names: str) -> None:
        """A repair, or another change that loses nothing of what was meant."""
        self._names.update(dict.fromkeys(names))

    def _client_name(self, name: str) -> str:
        return self._client_names.get(name, name)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._names)
