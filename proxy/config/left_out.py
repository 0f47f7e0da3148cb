"""Configured providers that are not in use, and what is left out with them: models, fallback, default provider."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, inspect
from msgspec.structs import replace

from proxy.config.checks import is_url, kinds
from proxy.config.environment import substitute
from proxy.config.known_providers import KNOWN_PROVIDERS
from proxy.config.mistakes import Mistakes, quoted
from proxy.config.provider_schema import ModelSettings
from proxy.config.reader import BROKEN, ConfigReader
from proxy.config.schema import Config
from proxy.config.types import Key

_KEY = inspect.type_info(Key)
_KEYS = inspect.type_info(list[Key])


class Absence(Struct, frozen=True):
    """Why a provider is not in use (the end of a sentence), and the remedy."""

    why: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.why} ({self.remedy})"


class LeftOutModel(Struct, frozen=True):
    """A model whose provider is not in use. ``label``: the file or URL that lists it."""

    name: str
    upstream_model: str
    provider: str
    label: str
    absence: Absence

    @property
    def file(self) -> str:
        """The name of the file only, as clients must not see paths and URLs."""
        return "the list of models" if is_url(self.label) else Path(self.label).name


def absences(providers: Any, environment: Mapping[str, str]) -> tuple[dict[str, Absence], list[str]]:
    """Providers that are not in use, including known ones without a section, and notices about empty keys.

    ``providers`` is that section of the YAML.
    """
    absent: dict[str, Absence] = {}
    notices: list[str] = []
    if not isinstance(providers, dict):
        return absent, notices
    reader = ConfigReader("", Mistakes(), environment, kinds(Path(), None))  # the full reading tells mistakes
    for name, raw in providers.items():
        if not isinstance(raw, dict):
            continue
        if reader.read(inspect.BoolType(), raw.get("enabled"), "") is False:
            absent[name] = Absence("is disabled", f"set providers.{name}.enabled to true")
            continue
        wanted = [(place, key) for place, key in _keys(raw) if _is_empty(reader, place, key)]
        full = len(_keys(raw)) - len(wanted)
        if full and wanted:
            places = " and ".join(place for place, _ in wanted)
            notices.append(f"provider {quoted(str(name))} goes without {places}: empty{what_to_set(wanted)}")
        elif not full and ("apiKey" in raw or "apiKeys" in raw):
            variables = _variables(wanted)
            absent[name] = Absence("has no key", f"set {variables or f'providers.{name}.apiKey'}")
            which = " and ".join(key for key in ("apiKey", "apiKeys") if key in raw)
            verb = "is" if which == "apiKey" else "are"
            notices.append(f"provider {quoted(str(name))} left out: its {which} {verb} empty{what_to_set(wanted)}")
    for name in KNOWN_PROVIDERS:
        if name not in providers:
            absent[name] = Absence("is not configured", f"add {name} to providers")
    return absent, notices


def left_out(models: Iterable[ModelSettings], absent: Mapping[str, Absence], label: str) -> Iterator[LeftOutModel]:
    """The models of absent providers."""
    for model in models:
        if (absence := absent.get(model.provider)) is not None:
            yield LeftOutModel(model.name, model.upstream_model, model.provider, label, absence)


def summary(models: Iterable[LeftOutModel]) -> list[str]:
    """One line for each provider and file."""
    counts = Counter((model.label, model.provider, model.absence) for model in models)
    return [
        f"{label}: {number} model{'s' if number > 1 else ''} of {provider} left out: it {absence}"
        for (label, provider, absence), number in counts.items()
    ]


def without(config: Config, absent: Mapping[str, Absence], notices: list[str]) -> Config:
    """``config`` without absent providers and everything that refers to them.

    Adds notices for the fallback and the default provider; ``summary`` reports models.
    """
    routing, default = config.routing, config.default_provider
    if routing.fallback is not None and (absence := absent.get(routing.fallback.provider)):
        if routing.fallback.enabled:
            notices.append(f"routing.fallback left out: provider {quoted(routing.fallback.provider)} {absence}")
        routing = replace(routing, fallback=None)
    if absence := absent.get(default):
        notices.append(f"defaultProvider left out: provider {quoted(default)} {absence}")
        default = ""
    return replace(
        config,
        providers={name: provider for name, provider in config.providers.items() if name not in absent},
        models=[model for model in config.models if model.provider not in absent],
        routing=routing,
        default_provider=default,
    )


def what_to_set(wanted: list[tuple[str, Any]]) -> str:
    """The variables that empty values refer to, in parentheses; ``""`` if there are none."""
    names = _variables(wanted)
    return f" (set {names})" if names else ""


def _variables(wanted: list[tuple[str, Any]]) -> str:
    found = [substitute(key, {}).names for _, key in wanted if isinstance(key, str)]
    return " and ".join(dict.fromkeys(name for names in found for name in names))


def _is_empty(reader: ConfigReader, place: str, key: Any) -> bool:
    if place == "apiKeys":
        found = reader.read(_KEYS, key, "")
        return found is not BROKEN and not any(found)
    return bool(reader.read(_KEY, key, "") == "")


def _keys(provider: Mapping[Any, Any]) -> list[tuple[str, Any]]:
    """All keys of a provider in the YAML, with their places. Wrong types are reported elsewhere.

    A list that is one reference to a variable is a single entry.
    """
    more = provider.get("apiKeys")
    if isinstance(more, str):
        listed = [("apiKeys", more)]
    else:
        listed = [(f"apiKeys[{number}]", key) for number, key in enumerate(more if isinstance(more, list) else [])]
    return [("apiKey", provider["apiKey"]), *listed] if "apiKey" in provider else listed
