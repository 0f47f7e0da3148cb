"""A finding of ``check --live``: one line for each part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from msgspec import Struct

from proxy.config.schema import Config

Level = Literal["ok", "warning", "FAILED"]
_WIDTH = max(map(len, ("ok", "warning", "FAILED")))


class Finding(Struct, frozen=True):
    """``text``: what was found, and what to do unless it is ok. It has neither keys nor passwords."""

    level: Level
    name: str
    text: str

    def __str__(self) -> str:
        text = "".join(each if each.isprintable() else " " for each in self.text)
        return f"{self.level:<{_WIDTH}}  {self.name}: {text}"


class Live(Struct, frozen=True):
    """What a check needs: the configuration, and the variables of the process and of the ``.env`` file."""

    config: Config
    environ: Mapping[str, str]


def ok(name: str, text: str) -> Finding:
    return Finding("ok", name, text)


def warning(name: str, text: str) -> Finding:
    return Finding("warning", name, text)


def failed(name: str, text: str) -> Finding:
    return Finding("FAILED", name, text)


def summary(findings: Sequence[Finding]) -> str:
    """The last line: how many findings there are of each level."""
    counts = {level: sum(each.level == level for each in findings) for level in ("ok", "warning", "FAILED")}
    names = {"warning": "warning" if counts["warning"] == 1 else "warnings", "FAILED": "failed"}
    return ", ".join(f"{count} {names.get(level, level)}" for level, count in counts.items() if count)
