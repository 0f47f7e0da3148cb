"""Detects PyPI's proxy.py, which also installs a package named ``proxy``: each overwrites files of the other."""

from __future__ import annotations

from typing import Any

DISTRIBUTION = "proxy.py"
REMEDY = (
    "Use a virtual environment of its own for sluice-gateway, or uninstall both and install sluice-gateway again:"
    f" pip uninstall {DISTRIBUTION} sluice-gateway"
)


def shadowed_by(package: Any) -> str:
    """A message if the imported package ``proxy`` is not Sluice's; ``""`` if it is."""
    if hasattr(package, "__version__"):  # proxy.py has none
        return ""
    where = getattr(package, "__file__", None) or "an unknown place"
    return f'The package "proxy" in {where} is not that of Sluice, but of another project ({DISTRIBUTION}?). {REMEDY}'


def installed_beside(path: list[str] | None = None) -> str:
    """A message if proxy.py is installed as well; ``""`` if not. ``path`` replaces ``sys.path``."""
    from importlib.metadata import distributions  # takes 20 ms, which `sluice health` must not pay

    found = distributions(name=DISTRIBUTION) if path is None else distributions(name=DISTRIBUTION, path=path)
    for distribution in found:
        return (
            f"PyPI's {DISTRIBUTION} {distribution.version} is installed beside Sluice, and its package is called"
            f' "proxy" as well: one overwrites files of the other. {REMEDY}'
        )
    return ""
