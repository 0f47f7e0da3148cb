"""Bodies for GET models and GET models/{id}, and the 404 for an unknown model, with similar names."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Sequence

import msgspec

from proxy.config.left_out import LeftOutModel
from proxy.errors import ClientFault
from proxy.routing.deployment import Deployment

_encode = msgspec.json.Encoder().encode

# Comparing a name with 500 others takes some milliseconds. Among more, only those with the same beginning are compared.
MOST_COMPARED = 500

NEAR = 0.6  # least similarity (difflib's ratio) of a suggestion
SPREAD = 0.1  # how much less similar than the best suggestion another one may be


def listing(
    deployments: Sequence[Deployment], fetched: Iterable[tuple[str, str]], created: int, *, details: bool = True
) -> bytes:
    """The body of GET models: ``data`` with OpenAI's object for each name, and ``models`` with each configured model.

    ``fetched``: names that providers list, and aliases, each with its provider's name. Without ``details`` ``models``
    is empty.
    """
    owners: dict[str, str] = {}
    for deployment in filter(available, deployments):
        owners.setdefault(deployment.name, deployment.provider.name)
    for name, provider in fetched:
        owners.setdefault(name, provider)
    objects = [_object(name, owner, created) for name, owner in owners.items()]
    return _encode({"object": "list", "data": objects, "models": _rows(deployments) if details else []})


def model_object(name: str, owner: str, created: int) -> bytes:
    """OpenAI's model object, as JSON."""
    return _encode(_object(name, owner, created))


def available(deployment: Deployment) -> bool:
    return deployment.available


def unknown(model: str, known: Collection[str], own: Iterable[str], providers: Sequence[str] = ()) -> ClientFault:
    """The 404 for an unknown name, with similar ones.

    ``providers`` would accept the name behind their own.
    """
    hint = _did_you_mean(model, known)
    hint += _name_both(model, providers)
    if not hint and (names := sorted(set(own))[:10]):
        hint = f" Known models: {', '.join(names)}."
    return _not_found(model, hint)


def unlisted(model: str, rest: str, provider: str, known: Collection[str]) -> ClientFault:
    """The 404 for ``provider/rest`` if that provider accepts only the ``known`` names."""
    hint = f" {provider} serves only the models that models.yaml lists; `anyModel: true` lets it take any name."
    return _not_found(model, hint + _did_you_mean(rest, known))


def left_out(model: str, out: LeftOutModel, providers: Sequence[str]) -> ClientFault:
    """The 404 for a configured model whose provider is not in use: why, and what to do."""
    where = f'"{model[:200]}" is in {out.file}, but its provider {out.provider} {out.absence.why}'
    return _fault(f"{where}: {out.absence.remedy}.{_name_both(model, providers)}")


def _not_found(model: str, hint: str) -> ClientFault:
    return _fault(f"The model {model[:200]!r} does not exist.{hint}")


def _fault(text: str) -> ClientFault:
    return ClientFault(text, status=404, param="model", code="model_not_found")


def _name_both(model: str, providers: Sequence[str]) -> str:
    """A sentence with a leading space; ``""`` without ``providers``."""
    both = " or ".join(repr(f"{each}/{model[:200]}") for each in providers[:5])
    return f" To use it at a provider, name both: {both}." if both else ""


def _did_you_mean(model: str, known: Collection[str]) -> str:
    """A sentence with the names most similar to ``model``, and a leading space; ``""`` if there is none."""
    word = model[:200].lower()
    compared = {name.lower(): name for name in reversed(_comparable(model, known))}
    near = difflib.get_close_matches(word, compared, n=3, cutoff=NEAR)
    close = [each for each in near if _similarity(word, each) >= _similarity(word, near[0]) - SPREAD]
    return f" Did you mean {' or '.join(repr(compared[each]) for each in close)}?" if close else ""


def _similarity(word: str, other: str) -> float:
    return difflib.SequenceMatcher(None, other, word).ratio()


def _comparable(model: str, known: Collection[str]) -> list[str]:
    if len(known) <= MOST_COMPARED:
        return list(known)
    begin = model[:3].lower()
    return [name for name in known if name[:3].lower() == begin][:MOST_COMPARED]


def _object(name: str, owner: str, created: int) -> dict[str, object]:
    return {"id": name, "object": "model", "created": created, "owned_by": owner}


def _rows(deployments: Iterable[Deployment]) -> list[dict[str, object]]:
    """One for each configured model, whatever the number of its addresses."""
    found = {(each.provider.name, each.name): each for each in reversed(list(deployments)) if each.model is not None}
    return [
        {
            "name": deployment.name,
            "provider": deployment.provider.name,
            "type": model.kind,
            "contextSize": model.context_size or None,
            "tags": model.tags,
            "available": deployment.available,
        }
        for deployment in reversed(found.values())
        if (model := deployment.model) is not None
    ]
