"""A credential that a cloud issues for a time, as the configuration describes it.

This is its description only. ``client/credentials/`` fetches credentials, and keeps them by their source.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Final, Literal

from msgspec import Struct

from proxy.config.provider_schema import CloudSettings

Issuer = Literal["google", "aws"]

# For each issuer: the modules that it needs, their package, and the name of the extra in ``pyproject.toml``.
_PACKAGES: Final[Mapping[Issuer, tuple[tuple[str, ...], str, str]]] = {
    "google": (("google.auth", "requests"), "google-auth", "google"),
    "aws": (("botocore",), "botocore", "aws"),
}


class CredentialSource(Struct, frozen=True):
    """Sources that are equal share their credential, also across a reload."""

    issuer: Issuer
    settings: CloudSettings

    def __repr__(self) -> str:  # without the keys
        return f"<CredentialSource {self.issuer} {self.settings.credentials_file or self.settings.profile}>"

    @property
    def signs(self) -> bool:
        """Whether each request is signed with its body, so that the body must be known before it is sent."""
        return self.issuer == "aws"

    def missing_package(self) -> str:
        """Why the issuer cannot be used, as a part of a sentence; ``""``: it can."""
        modules, package, extra = _PACKAGES[self.issuer]
        if all(map(_is_installed, modules)):
            return ""
        return f"needs {package}, which is not installed: pip install 'sluice-gateway[{extra}]'"


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ImportError:  # of the parent package
        return False
