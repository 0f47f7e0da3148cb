"""The rule of loss: what a translation cannot carry is told to the client, or the request is refused."""

from __future__ import annotations

from collections.abc import Iterable

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
            raise Untranslatable(
                f"{names[0]!r} cannot be translated for this model's provider, and translate.onLoss is refuse.",
                param=names[0],
            )
        self._names.update(dict.fromkeys(names))

    def refuse(self, name: str, reason: str) -> Untranslatable:
        """The error for content or a contract that the dialect lacks. ``reason`` is a sentence, without the name."""
        return Untranslatable(f"{name!r} cannot be translated for this model's provider. {reason}", param=name)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._names)

    def add(self, names: Iterable[str]) -> None:
        self.drop(*names)
