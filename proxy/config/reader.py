"""Converting plain values to the schema's structs, leaf by leaf, to report every mistake.

``msgspec.convert`` stops at the first one, and its messages are for programmers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Final, TypeAlias

from msgspec import inspect

from proxy.config import sections
from proxy.config.environment import Substituted, substitute
from proxy.config.mistakes import Mistakes, join, near, quoted, shown, sort
from proxy.config.texts import TRUTH, listed

_Number: TypeAlias = inspect.IntType | inspect.FloatType

_SYNONYMS: Final = {"warn": "warning"}  # of words of the schema

# Replaces a value that could not be read; the mistake was reported.
BROKEN: Final[Any] = object()


class ConfigReader:
    """Reads the values of one file; ``label`` names it in messages.

    ``environment`` is for references to variables; ``None``: references are plain text. ``forgiven``: paths of sections
    where unset variables are no mistake. ``origins``: variables by the paths of values that came from them; mistakes
    there name the variable. ``used`` collects referenced variables.
    """

    def __init__(
        self,
        label: str,
        mistakes: Mistakes,
        environment: Mapping[str, str] | None,
        kinds: Mapping[str, Callable[[str], str]],
        forgiven: frozenset[str] = frozenset(),
        origins: Mapping[str, str] | None = None,
    ) -> None:
        self._label = label
        self._mistakes = mistakes
        self._environment = environment
        self._kinds = kinds
        self._forgiven = forgiven
        self._origins = origins or {}
        self.used: set[str] = set()  # names of variables that values refer to
        self._fields: dict[type, dict[str, inspect.Field]] = {}  # of the structs that were read, by key

    def read(self, expected: inspect.Type, value: Any, path: str) -> Any:
        """``value`` as ``expected``, or ``BROKEN``. Broken items of lists and mappings are left out."""
        match expected:
            case inspect.Metadata(extra={"kind": kind}):
                return self._text_of_kind(kind, expected.type, value, path)
            case inspect.Metadata(extra={"one_or_more": True}):
                if isinstance(value, dict) and isinstance(item := _item_type(expected), inspect.StructType):
                    one = self._struct(item, value, path)
                    return one if one is BROKEN else [one]
                return self.read(expected.type, [value] if isinstance(value, str) else value, path)
            case inspect.Metadata(extra={"short": key}):
                if not isinstance(value, str):
                    return self.read(expected.type, value, path)
                short = _field(expected.type, key)
                return _made(expected.type, short, self.read(short.type, value, path))
            case inspect.UnionType():
                return self.read(_only(expected), value, path)
            case inspect.StructType():
                return self._struct(expected, value, path)
            case inspect.DictType():
                return self._dict(expected, value, path)
            case inspect.ListType():
                return self._list(expected, value, path)
        return self._leaf(expected, value, path)

    def override(self, expected: inspect.Type, text: str, path: str) -> Any:
        """A text from an environment variable as a value of any type."""
        if isinstance(expected, inspect.ListType):
            return self._listed(expected, text, path)
        return self._item(expected, text, path, quoted(text))

    def refuse(self, path: str, text: str) -> Any:
        """Report a mistake; returns ``BROKEN``."""
        label, place = self._label, path
        if path in self._origins:
            label, place = "environment", self._origins[path]
        self._mistakes.add(label, place, text)
        return BROKEN

    # -- containers ---------------------------------------------------------------------------------

    def _struct(self, expected: inspect.StructType, value: Any, path: str) -> Any:
        if not isinstance(value, dict):
            return self.refuse(path, f"expected a mapping, got {sort(value)}")
        fields = self._fields.get(expected.cls)
        if fields is None:
            fields = self._fields[expected.cls] = {field.encode_name: field for field in expected.fields}
        made: dict[str, Any] = {}
        for key, item in value.items():
            field = fields.get(key)
            if field is None:
                self._unknown(key, fields, path)
            elif item is not None or _holds_keys(field.type):
                made[field.name] = self.read(field.type, item, f"{path}.{key}" if path else key)
            # An empty value (everything below it is commented out) is the same as no such key.
        for field in expected.fields:
            if field.required and field.name not in made:
                made[field.name] = self.refuse(join(path, field.encode_name), "is missing")
        return self._built(expected, made, path)

    def _built(self, expected: inspect.StructType, made: dict[str, Any], path: str) -> Any:
        whole = {name: value for name, value in made.items() if value is not BROKEN}
        if any(field.required and field.name not in whole for field in expected.fields):
            return BROKEN
        # Defaults replace broken values, so that the rest can be checked.
        struct = expected.cls(**whole)
        fields = self._fields[expected.cls]
        for complaint in sections.complaints(struct, path):
            broken = any(made.get(fields[key].name) is BROKEN for key in complaint.reads)
            places = [join(path, key) for key in complaint.reads]
            if not broken and not any(place in mistake for place in places for mistake in self._mistakes):
                self.refuse(join(path, complaint.key) if complaint.key else path, complaint.text)
        return struct

    def _unknown(self, key: Any, fields: Mapping[str, object], path: str) -> None:
        text = str(key)
        hint = near(text, fields) or f" (known: {', '.join(fields)})"
        self.refuse(path, f"unknown key {quoted(text)}{hint}")

    def _dict(self, expected: inspect.DictType, value: Any, path: str) -> Any:
        if not isinstance(value, dict):
            return self.refuse(path, f"expected a mapping, got {sort(value)}")
        if expected.max_length is not None and len(value) > expected.max_length:
            return self.refuse(path, f"must not have more than {expected.max_length} entries")
        made = {}
        for key, item in value.items():
            if not isinstance(key, str):
                self.refuse(path, f"expected text as a key, got {shown(key)}; put it in quotes")
                continue
            place = join(path, key)
            name = self._key(expected.key_type, key, place)
            result = self.read(expected.value_type, item, place)
            if result is not BROKEN and name is not BROKEN:
                made[name] = result
        return made

    def _key(self, expected: inspect.Type, key: str, path: str) -> Any:
        # Keys are names, never substituted.
        if isinstance(expected, inspect.Metadata):
            checked = self._convert(expected.type, key, path, repr_=quoted(key))
            return self._checked((expected.extra or {})["kind"], checked, path)
        return self._convert(expected, key, path, repr_=quoted(key))

    def _list(self, expected: inspect.ListType, value: Any, path: str) -> Any:
        if value is None and _holds_keys(expected):
            return []
        filled = self._filled(value, path)
        if isinstance(filled, Substituted) and filled.whole:
            return self._listed_reference(expected, filled, path)
        if not isinstance(value, list):
            return self.refuse(path, f"expected a list, got {sort(value)}")
        read = [self.read(expected.item_type, item, f"{path}[{index}]") for index, item in enumerate(value)]
        return [item for item in read if item is not BROKEN]

    def _listed_reference(self, expected: inspect.ListType, filled: Substituted, path: str) -> Any:
        """A list from one variable, as JSON or separated by commas."""
        if not filled.unset:
            return self._listed(expected, filled.text, path)
        if _holds_keys(expected):
            return []
        if not self._is_forgiven(path):
            self.refuse(path, f"not set in the environment: {', '.join(filled.unset)}")
        return BROKEN

    def _listed(self, expected: inspect.ListType, text: str, path: str) -> Any:
        try:
            items = listed(text)
        except ValueError as error:
            return self.refuse(path, str(error))
        shown = (f"item {number}" for number in range(1, len(items) + 1))  # items may be misplaced secrets
        read = [self._item(expected.item_type, item, path, place) for item, place in zip(items, shown, strict=True)]
        return BROKEN if any(item is BROKEN for item in read) else read

    # -- leaves -------------------------------------------------------------------------------------

    def _text_of_kind(self, kind: str, expected: inspect.Type, value: Any, path: str) -> Any:
        if kind == "key":
            # An empty key is no mistake: the provider is left out.
            filled = self._filled("" if value is None else value, path)
            if isinstance(filled, Substituted):
                filled = "" if filled.unset else filled.text
            read = filled if filled is BROKEN else self._convert(expected, filled, path, repr_=sort(value))
        else:
            # Without quotes, YAML reads a date or a null here.
            text = value.isoformat() if kind == "moment" and isinstance(value, date) else value
            text = "null" if kind == "origin" and value is None else text
            read = self._leaf(expected, text, path)
        return self._checked(kind, read, path)

    def _checked(self, kind: str, value: Any, path: str) -> Any:
        if value is BROKEN:
            return BROKEN
        try:
            return self._kinds[kind](value)
        except ValueError as error:
            return self.refuse(path, str(error))

    def _leaf(self, expected: Any, value: Any, path: str) -> Any:
        filled = self._filled(value, path)
        if not isinstance(filled, Substituted):
            return filled if filled is BROKEN else self._convert(expected, filled, path, repr_=None)
        if filled.unset:
            if not self._is_forgiven(path):
                self.refuse(path, f"not set in the environment: {', '.join(filled.unset)}")
            return BROKEN
        text = _from_text(expected, filled.text) if filled.whole else filled.text
        # The variable may be a misplaced secret.
        return self._convert(expected, text, path, repr_=f"the value of {value}")

    def _item(self, expected: inspect.Type, text: str, path: str, repr_: str) -> Any:
        """A text from the environment as ``expected``. References in it are not expanded."""
        if isinstance(expected, inspect.Metadata):
            extra = expected.extra or {}
            if "short" in extra:
                short = _field(expected.type, extra["short"])
                return _made(expected.type, short, self._item(short.type, text, path, repr_))
            value = self._convert(expected.type, text, path, repr_=repr_)
            return self._checked(extra["kind"], value, path)
        return self._convert(expected, _from_text(expected, text), path, repr_=repr_)

    def _filled(self, value: Any, path: str) -> Any:
        """``value``; as a ``Substituted`` if it contains references."""
        if not isinstance(value, str) or "${" not in value or self._environment is None:
            return value
        try:
            text = substitute(value, self._environment)
        except ValueError as error:
            return self.refuse(path, str(error))
        self.used.update(text.names)
        return text if text.names else text.text

    def _is_forgiven(self, path: str) -> bool:
        return any(path.startswith(f"{section}.") for section in self._forgiven)

    def _convert(self, expected: Any, value: Any, path: str, *, repr_: str | None) -> Any:
        """``value`` as the leaf type ``expected``; ``repr_`` replaces it in messages."""
        match expected:
            case inspect.StrType():
                return self._text(expected, value, path)
            case inspect.LiteralType():
                spelled = {str(each).lower(): each for each in expected.values}
                if isinstance(value, bool):  # YAML 1.1 reads on and off as booleans
                    value = "on" if value else "off"
                word = str(value).lower() if isinstance(value, str | int) else ""
                if (word := _SYNONYMS.get(word, word)) in spelled:
                    return spelled[word]
                choice = ", ".join(
                    str(each) if isinstance(each, int) else quoted(str(each)) for each in expected.values
                )
                return self.refuse(path, f"expected one of {choice}, got {repr_ or shown(value)}")
            case inspect.BoolType():
                if isinstance(value, bool):
                    return value
                return self.refuse(path, f"expected true or false, got {repr_ or shown(value)}")
        if complaint := _not_the_number(expected, value):
            return self.refuse(path, f"{complaint}, got {repr_ or shown(value)}")
        return int(value) if isinstance(expected, inspect.IntType) else float(value)

    def _text(self, expected: inspect.StrType, value: Any, path: str) -> Any:
        if not isinstance(value, str):
            hint = "" if isinstance(value, list | dict) or value is None else "; put it in quotes"
            return self.refuse(path, f"expected text, got {sort(value)}{hint}")
        if len(value) < (expected.min_length or 0):
            return self.refuse(path, "must not be empty")
        if expected.max_length is not None and len(value) > expected.max_length:
            return self.refuse(path, f"must not be longer than {expected.max_length} characters")
        return value


def _not_the_number(expected: _Number, value: Any) -> str:
    whole = isinstance(expected, inspect.IntType)
    if not _is_number(value, whole):
        return f"expected a {'whole ' * whole}number"
    low, above, high = expected.ge, expected.gt, expected.le
    if low is not None and value < low:
        return f"must be at least {low}"
    if above is not None and value <= above:
        return f"must be more than {above}"
    if high is not None and value > high:
        return f"must be at most {high}"
    return ""


def _is_number(value: Any, whole: bool) -> bool:
    if isinstance(value, float):
        return value.is_integer() if whole else math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def type_at(expected: Any, path: str) -> inspect.Type:
    """The type of the setting at a dotted path below the struct type ``expected``."""
    for key in path.split("."):
        expected = _field(_only(expected) if isinstance(expected, inspect.UnionType) else expected, key).type
    found: inspect.Type = expected
    return found


def _only(expected: inspect.UnionType) -> inspect.Type:
    """``X`` of the type ``X | None``."""
    return next(kind for kind in expected.types if not isinstance(kind, inspect.NoneType))


def _field(struct: inspect.Type, key: str) -> inspect.Field:
    assert isinstance(struct, inspect.StructType)
    return next(field for field in struct.fields if field.encode_name == key)


def _made(struct: inspect.Type, field: inspect.Field, value: Any) -> Any:
    """A struct of which only one field is given."""
    assert isinstance(struct, inspect.StructType)
    return BROKEN if value is BROKEN else struct.cls(**{field.name: value})


def _item_type(expected: inspect.Metadata) -> inspect.Type | None:
    return expected.type.item_type if isinstance(expected.type, inspect.ListType) else None


def _holds_keys(expected: inspect.Type) -> bool:
    """Whether the type is a key or a list of keys. An empty YAML value there is an empty key, not an absent one."""
    if isinstance(expected, inspect.ListType):
        expected = expected.item_type
    return isinstance(expected, inspect.Metadata) and (expected.extra or {}).get("kind") == "key"


def _from_text(expected: inspect.Type, text: str) -> Any:
    """``text`` as a number or boolean if one is expected, else unchanged."""
    if isinstance(expected, inspect.BoolType):
        return TRUTH.get(text.strip().lower(), text)
    try:
        if isinstance(expected, inspect.IntType):
            return int(text)
        if isinstance(expected, inspect.FloatType):
            return float(text)
    except ValueError:
        pass
    return text
