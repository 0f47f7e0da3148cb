"""Read the JSON bodies of services, routes and addresses. Every mistake is reported at once, with its field."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from msgspec import UNSET, Struct, UnsetType

from proxy.config import service_checks
from proxy.config.mistakes import join, shown, sort
from proxy.config.secret import MASKED
from proxy.config.service_schema import AddressOverride
from proxy.control.services.faults import invalid
from proxy.errors import ConfigError
from proxy.services.specs import plain, read_override, read_route, read_service

T = TypeVar("T")

LONGEST_NAME: Final = 100
LONGEST_ID: Final = 200
_ADDRESS: Final = ("url", "weight", "priority", "region")  # members of an address
_FIRST: Final = "addresses[0]"


class ServiceBody(Struct, frozen=True):
    """``settings``: plain values without defaults. ``short``: nothing but an address was given."""

    name: str
    settings: dict[str, Any]
    short: bool = False


class RouteBody(Struct, frozen=True):
    """``id``: ``""`` if none was given."""

    id: str
    settings: dict[str, Any]


class AddressBody(Struct, frozen=True):
    """A change of an address. ``weight`` ``None``: no more one of its own; ``UNSET``: as before. ``others``: members of
    its settings."""

    weight: float | UnsetType | None = UNSET
    drained: bool | UnsetType = UNSET
    others: Mapping[str, Any] = {}


class _BodyMistakes:
    """Collects mistakes."""

    def __init__(self) -> None:
        self.mistakes: list[str] = []

    def read(self, what: Callable[[], T], place: str = "") -> T | None:
        """The result, or ``None`` after a mistake. ``place``: of a text without one, else left out."""
        try:
            return what()
        except ConfigError as error:
            self.mistakes += [_below(line, place) for line in error.mistakes]
        except ValueError as error:
            self.mistakes.append(f"{place}: {error}")
        return None

    def check(self) -> None:
        """Raises ClientFault (400)."""
        if self.mistakes:
            raise invalid(self.mistakes)


def read_new_service(given: Mapping[str, Any]) -> ServiceBody:
    """Raises ClientFault (400)."""
    reading, rest = _BodyMistakes(), dict(given)
    name = reading.read(lambda: _name(rest.pop("name", None)), "name")
    short = "url" in rest
    if short and "addresses" in rest:
        reading.mistakes.append("url: is not allowed beside addresses")
    elif short:
        rest["addresses"] = [{member: rest.pop(member) for member in _ADDRESS if member in rest}]
    settings = reading.read(lambda: plain(read_service(rest)), _FIRST if short else "")
    reading.check()
    return ServiceBody(name or "", settings or {}, short and set(rest) == {"addresses"})


def read_service_settings(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the service at a path. Its name may be repeated in the body. Raises ClientFault (400)."""
    reading, rest = _BodyMistakes(), dict(given)
    reading.read(lambda: _name(name), "name")
    if rest.pop("name", name) != name:
        reading.mistakes.append("name: a service cannot be renamed; make another one")
    settings = reading.read(lambda: plain(read_service(rest)))
    reading.check()
    return settings or {}


def read_new_route(given: Mapping[str, Any]) -> RouteBody:
    """Raises ClientFault (400)."""
    reading, rest = _BodyMistakes(), dict(given)
    id_ = reading.read(lambda: _id(rest.pop("id", "")), "id")
    settings = reading.read(lambda: plain(read_route(rest)))
    reading.check()
    return RouteBody(id_ or "", settings or {})


def read_route_settings(id_: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the route at a path. Raises ClientFault (400)."""
    reading, rest = _BodyMistakes(), dict(given)
    reading.read(lambda: _id(id_), "id")
    if rest.pop("id", id_) != id_:
        reading.mistakes.append("id: a route cannot be renamed; make another one")
    settings = reading.read(lambda: plain(read_route(rest)))
    reading.check()
    return settings or {}


def read_address(given: Mapping[str, Any]) -> dict[str, Any]:
    """A new address as plain values. Raises ClientFault (400)."""
    reading = _BodyMistakes()
    found = reading.read(lambda: plain(read_service({"addresses": [dict(given)]})), _FIRST)
    reading.check()
    address: dict[str, Any] = (found or {})["addresses"][0]
    return address


def read_url(text: str) -> str:
    """The URL of an address in its normal form. Raises ClientFault (400)."""
    url: str = read_address({"url": text})["url"]
    return url


def read_address_change(url: str, given: Mapping[str, Any]) -> AddressBody:
    """Raises ClientFault (400)."""
    reading, rest = _BodyMistakes(), dict(given)
    weight = rest.pop("weight", UNSET)
    own = {"drained": rest.pop("drained")} if "drained" in rest else {}
    if weight is not UNSET and weight is not None:
        own["weight"] = weight
    if own.get("drained", True) is None:
        reading.mistakes.append("drained: must not be null")
    if "url" in rest:
        reading.mistakes.append("url: the address is named in the query; make another address for another url")
        del rest["url"]
    place = f'addresses."{url}"'
    override = reading.read(lambda: read_override({"addresses": {url: own}}).addresses[url], place)
    reading.read(lambda: read_service({"addresses": [{"url": url, **rest}]}), _FIRST)
    reading.check()
    override = override or AddressOverride()
    return AddressBody(
        None if weight is None else override.weight, override.drained if "drained" in own else UNSET, rest
    )


def read_weight(service: str, given: Mapping[str, Any]) -> tuple[str, float | None]:
    """The URL (``""``: the service itself) and the weight (``None``: none of its own). Raises ClientFault (400)."""
    reading = _BodyMistakes()
    reading.read(lambda: _name(service), "name")
    reading.mistakes += [f"{join('', name)}: unknown field" for name in given if name not in ("weight", "url")]
    url, weight = given.get("url"), given.get("weight")
    if url is not None:
        url = reading.read(lambda: read_service({"addresses": [{"url": url}]}).addresses[0].url, _FIRST)
    if "weight" not in given:
        reading.mistakes.append("weight: is missing")
    elif weight is not None:
        reading.read(lambda: read_override({"weight": weight}))
    reading.check()
    return url or "", weight


def merged(target: Any, patch: Any) -> Any:
    """RFC 7396: ``patch`` applied to ``target``."""
    if not isinstance(patch, dict):
        return patch
    found = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = merged(found.get(name), value)
    return found


def unmasked(given: Any, before: Any) -> Any:
    """``given`` with what is masked in it as it was before: what was read can be written back."""
    if isinstance(given, dict) and isinstance(before, Mapping):
        return {name: unmasked(value, before.get(name)) for name, value in given.items()}
    return before if given == MASKED and isinstance(before, str) else given


def is_masked(given: Any) -> bool:
    """Whether a value in ``given`` is still masked."""
    if isinstance(given, Mapping):
        return any(map(is_masked, given.values()))
    return bool(given == MASKED)


def _name(value: Any) -> str:
    if value is None:
        raise ValueError("is missing")
    if not isinstance(value, str):
        raise ValueError(f"expected text, got {sort(value)}")
    if len(value) > LONGEST_NAME:
        raise ValueError(f"must not be longer than {LONGEST_NAME} characters")
    return service_checks.service_name(value)


def _id(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"expected text, got {shown(value)}")
    if len(value) > LONGEST_ID:
        raise ValueError(f"must not be longer than {LONGEST_ID} characters")
    return service_checks.route_id(value)


def _below(line: str, place: str) -> str:
    """``addresses[0].url: ...`` as ``url: ...``."""
    return line.removeprefix(f"{place}.") if place else line
