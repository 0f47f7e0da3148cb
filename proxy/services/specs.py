"""Plain values, as JSON and YAML have them, from and to the settings of services, routes and overrides."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from msgspec import Struct, inspect, to_builtins
from msgspec.structs import fields

from proxy.config.checks import kinds
from proxy.config.mistakes import Mistakes
from proxy.config.reader import ConfigReader
from proxy.config.secret import Secret
from proxy.config.service_schema import RouteSettings, ServiceOverride, ServiceSettings
from proxy.errors import ConfigError

T = TypeVar("T", bound=Struct)

_KINDS: Final = kinds(Path(), None)  # files are relative to the working directory
_SERVICE: Final = inspect.type_info(ServiceSettings)
_ROUTE: Final = inspect.type_info(RouteSettings)
_OVERRIDE: Final = inspect.type_info(ServiceOverride)


def read_service(value: Any, place: str = "") -> ServiceSettings:
    """Raises ConfigError with a line for each mistake. ``place`` precedes the names of fields in these lines."""
    return cast(ServiceSettings, _read(_SERVICE, value, place))


def read_route(value: Any, place: str = "") -> RouteSettings:
    """The same for a route."""
    return cast(RouteSettings, _read(_ROUTE, value, place))


def read_override(value: Any, place: str = "") -> ServiceOverride:
    """The same for what an operator sets of a service at run time."""
    return cast(ServiceOverride, _read(_OVERRIDE, value, place))


def plain(settings: Struct, take: Callable[[Secret], str] = str) -> dict[str, Any]:
    """Settings as plain values that ``read_...`` takes, without those that have their defaults.

    ``take`` gets the values of headers, which may be secret.
    """
    found: dict[str, Any] = {}
    for each in fields(settings):
        value = getattr(settings, each.name)
        default = each.default_factory() if each.required is False and callable(each.default_factory) else each.default
        if value != default:
            found[each.encode_name] = (
                plain(value, take) if isinstance(value, Struct) else to_builtins(value, enc_hook=take)
            )
    return found


def _read(expected: inspect.Type, value: Any, place: str) -> Any:
    """References to variables of the environment stay plain text: whoever may change a route may not read them."""
    mistakes = Mistakes()
    found = ConfigReader("", mistakes, None, _KINDS).read(expected, value, place)
    if mistakes:
        raise ConfigError(mistakes)
    return found
