from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from msgspec import UNSET, inspect

from proxy.config import schema
from proxy.config.cache_schema import CacheRule, CacheSettings
from proxy.config.observe_schema import Observe, ProbeSettings, SentrySettings, TracingSettings
from proxy.config.schema import Config
from proxy.config.types import Section
from tests.config.files import Files, mistakes

ROOT = Path(__file__).resolve().parents[2]


def fields(section: type[Section], path: str = "") -> Iterator[tuple[str, inspect.Field]]:
    """Every key below ``section``, with its dotted path."""
    found: Any = inspect.type_info(section)
    for field in found.fields:
        place = f"{path}{field.encode_name}"
        yield place, field
        for kind in getattr(field.type, "types", (field.type,)):
            if isinstance(kind, inspect.StructType):
                yield from fields(kind.cls, f"{place}.")


def test_every_key_is_in_camel_case() -> None:
    paths = [path for path, _ in fields(Config)]
    assert len(paths) == len(set(paths)) > 100
    assert [path for path in paths if not re.fullmatch(r"[a-z][a-zA-Z0-9]*", path.rpartition(".")[2])] == []


def test_the_defaults_satisfy_their_own_constraints() -> None:
    written = msgspec.to_builtins(Config(), str_keys=True)
    assert msgspec.convert(written, Config) == Config()


def test_every_key_but_those_of_named_things_has_a_default() -> None:
    required = {path for path, field in fields(Config) if field.required}
    assert required == {"server.tls.certFile"}


@pytest.mark.parametrize("section", [Config, schema.Routing, schema.ServerSettings, schema.Jwt])
def test_sections_are_frozen_and_refuse_unknown_keys(section: type[Section]) -> None:
    with pytest.raises(AttributeError):
        section().anything = 1  # type: ignore[attr-defined]
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.convert({"anything": 1}, section)


def test_limits_are_unset_until_they_are_configured() -> None:
    limits = schema.Limits()
    assert {limits.requests_per_minute, limits.tokens_per_minute, limits.concurrent, limits.burst_size} == {UNSET}
    assert schema.RateLimiting().per_client is None


def test_by_default_nothing_is_limited_and_the_drain_takes_10_s() -> None:
    config = Config()
    assert (config.rate_limiting.enabled, config.server.drain_secs) == (False, 10)


ADMISSION = (
    *(schema.RateLimiting, schema.Limits, schema.TokenEstimate),
    *(schema.Auth, schema.ConfiguredKey, schema.ConfiguredCertificate, schema.Jwt, schema.JwtClaims, schema.Admin),
    *(Observe, ProbeSettings, TracingSettings, SentrySettings),
    *(
        CacheSettings,
        CacheRule,
        schema.Redis,
        schema.Database,
        schema.ServerSettings,
        schema.ListenTls,
        schema.CircuitBreaker,
    ),
)


@pytest.mark.parametrize("section", ADMISSION)
def test_the_shipped_file_documents_every_key(section: type[Section]) -> None:
    shipped = (ROOT / "config/config.yaml").read_text()
    for name in section.__struct_encode_fields__:
        assert f"{name}:" in shipped


def test_documented_settings_are_accepted(files: Files) -> None:
    lines = (ROOT / "config/config.yaml").read_text().splitlines()
    first = lines.index("# auth:")
    last = next(number for number, line in enumerate(lines) if line.startswith("# The six timeouts"))
    shown = [line.removeprefix("# ") for line in lines[first:last] if not line.endswith(".")]
    config = yaml.safe_load("\n".join(shown))
    assert set(config) == {"auth", "admin", "observe", "dataDir", "database", "ledger", "redis"}
    config["auth"]["keys"][0]["hash"] = "sha256:" + "0" * 64
    assert mistakes(files(yaml.safe_dump(config)), {"JWT_SECRET": ""}) == [
        "config.yaml: auth.jwt.publicKeyFile: no such file: jwt.pem"
    ]
