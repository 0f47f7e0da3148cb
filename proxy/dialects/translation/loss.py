"""The rule of loss: what a translation cannot carry is told to the client, or the request is refused.

Content and contracts are refused by whoever finds that they are lost: ``raise Untranslatable(path, reason)``.
"""

from __future__ import annotations

from proxy.errors import Untranslatable


class Losses:
    """What one translation of a request lost, by the members' paths, such as ``top_k`` or ``messages[].name``.

    ``strict`` (``translate.onLoss: refuse``): nothing may be lost.
    """

    __slots__ = ("_names", "_strict")

    def __init__(self, strict: bool = False) -> None:
        self._strict = strict
        self._names: dict[str, None] = {}

    def drop(self, *names: str) -> None:
        """Metadata or a setting that the dialect lacks. Raises Untranslatable if nothing may be lost."""
        if names and self._strict:
            raise Untranslatable(names[0], "It would be left out, and translate.onLoss is refuse.")
        self._names.update(dict.fromkeys(names))

    def tell(self, *names: str) -> None:
        """A repair, or another change that loses nothing of what was meant."""
        self._names.update(dict.fromkeys(names))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._names)
