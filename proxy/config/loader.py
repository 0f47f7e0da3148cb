"""YAML and environment to one frozen ``Config``, or all that is wrong with them at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from msgspec import Struct, inspect
from msgspec.structs import replace

from proxy.config import document
from proxy.config.checks import kinds
from proxy.config.environment import CONFIG_PATH, OVERRIDES, gather, substitute
from proxy.config.mistakes import Mistakes, join, quoted
from proxy.config.reader import BROKEN, Reader
from proxy.config.schema import Config, Key, ModelsFile
from proxy.errors import ConfigError

DEFAULT_PATH = Path("config/config.yaml")

_CONFIG = inspect.type_info(Config)
_MODELS = inspect.type_info(ModelsFile)
_KEY = inspect.type_info(Key)


class Loaded(Struct, frozen=True):
    """``notices`` are readable lines about what was left out; ``path`` is ``None`` for built-in defaults.

    A provider that is disabled or has no key is not in ``config``, nor is what refers to it.
    """

    config: Config
    notices: list[str]
    path: Path | None = None


def load(path: Path | None, environ: Mapping[str, str], env_file: Path | None = None) -> Loaded:
    """Load ``path``, else ``ROUTER_CONFIG_PATH``, else ``config/config.yaml`` if it exists, else defaults.

    Variables come from ``environ``, then from ``env_file``. Raises ``ConfigError`` with every mistake.
    """
    mistakes = Mistakes()
    environment = gather(environ, env_file, mistakes)
    if path is None:
        path = _default_path(environment)
    raw = document.read(path, mistakes) if path is not None else {}
    overrides = _overrides(environment, mistakes)
    if raw is None:
        raise ConfigError(mistakes)
    absent = _absent(raw.get("providers"), environment)
    config = _config(raw, path, absent, environment, mistakes)
    if mistakes:
        raise ConfigError(mistakes)
    for (section, name), value in overrides.items():
        changed = replace(getattr(config, section), **{name: value})
        config = replace(config, **{section: changed})
    notices = [notice for notice in absent.values() if notice]
    return Loaded(_without(config, absent, notices), notices, path)


def _default_path(environment: Mapping[str, str]) -> Path | None:
    if named := environment.get(CONFIG_PATH):
        return Path(named)
    return DEFAULT_PATH if DEFAULT_PATH.is_file() else None


def _overrides(environment: Mapping[str, str], mistakes: Mistakes) -> dict[tuple[str, str], Any]:
    """What the environment says of single settings: (section, field) to value."""
    reader = Reader("environment", mistakes, {}, kinds(Path(), None))
    found = {}
    for variable, place in OVERRIDES.items():
        if text := environment.get(variable):
            value = reader.override(_type_of(*place), text, variable)
            if value is not BROKEN:
                found[place] = value
    return found


def _type_of(section: str, name: str) -> inspect.Type:
    found: Any = _CONFIG
    for step in (section, name):
        found = next(field.type for field in found.fields if field.name == step)
    return cast(inspect.Type, found)


def _absent(providers: Any, environment: Mapping[str, str]) -> dict[str, str]:
    """Who is not to serve, by name, with the notice that says why ("" for who was switched off)."""
    if not isinstance(providers, dict):
        return {}
    reader = Reader("", Mistakes(), environment, kinds(Path(), None))  # mistakes are told when all is read
    absent = {}
    for name, raw in providers.items():
        if not isinstance(raw, dict):
            continue
        if reader.read(inspect.BoolType(), raw.get("enabled"), "") is False:
            absent[name] = ""
        elif "apiKey" in raw and reader.read(_KEY, raw["apiKey"], "") == "":
            hint = _what_to_set(raw["apiKey"])
            absent[name] = f"provider {quoted(str(name))} left out: its apiKey is empty{hint}"
    return absent


def _what_to_set(key: Any) -> str:
    names = substitute(key, {}).names if isinstance(key, str) else ()
    return f" (set {' and '.join(names)})" if names else ""


def _config(
    raw: dict[Any, Any],
    path: Path | None,
    absent: Mapping[str, str],
    environment: Mapping[str, str],
    mistakes: Mistakes,
) -> Config:
    """All that the files say, with the models of both; defaults stand where a mistake is."""
    label = str(path or "")
    folder = path.parent if path is not None else Path()
    providers = raw.get("providers") or {}
    checks = kinds(folder, providers if isinstance(providers, dict) else None)
    # Nobody sets variables for a provider that he does not use.
    forgiven = frozenset(join("providers", name) for name in absent)
    config: Config = Reader(label, mistakes, environment, checks, forgiven).read(_CONFIG, raw, "")
    listed = [(label, raw.get("models"))]
    if config.models_file:
        more = document.read(Path(config.models_file), mistakes) or {}
        reader = Reader(config.models_file, mistakes, environment, checks)
        config = replace(config, models=config.models + reader.read(_MODELS, more, "").models)
        listed.append((config.models_file, more.get("models")))
    _refuse_duplicates(listed, mistakes)
    return config


def _refuse_duplicates(listed: list[tuple[str, Any]], mistakes: Mistakes) -> None:
    """One provider serves a name once: nobody could say which of two entries answered."""
    first: dict[tuple[str, str], str] = {}
    for label, models in listed:
        for number, model in enumerate(models if isinstance(models, list) else []):
            name, provider = (model.get("name"), model.get("provider")) if isinstance(model, dict) else (0, 0)
            if not isinstance(name, str) or not isinstance(provider, str):
                continue  # a mistake that has been told
            place = f"models[{number}]"
            if before := first.get((name, provider)):
                same = before.removeprefix(f"{label}: ")
                mistakes.add(label, place, f"the same name and provider as {same}")
            else:
                first[name, provider] = f"{label}: {place}"


def _without(config: Config, absent: Mapping[str, str], notices: list[str]) -> Config:
    """``config`` without the absent and all that refers to them; ``notices`` gains what was lost."""
    lost = Counter(model.provider for model in config.models if model.provider in absent)
    if lost:
        who = ", ".join(f"{name} ({number})" for name, number in lost.items())
        notices.append(f"models left out because their provider does not serve: {who}")
    routing, default = config.routing, config.default_provider
    if routing.fallback is not None and routing.fallback.provider in absent:
        if routing.fallback.enabled:
            name = quoted(routing.fallback.provider)
            notices.append(f"routing.fallback left out: provider {name} does not serve")
        routing = replace(routing, fallback=None)
    if default in absent:
        notices.append(f"defaultProvider left out: provider {quoted(default)} does not serve")
        default = ""
    return replace(
        config,
        providers={name: provider for name, provider in config.providers.items() if name not in absent},
        models=[model for model in config.models if model.provider not in absent],
        routing=routing,
        default_provider=default,
    )
