"""Which parameters of a query are forwarded to a provider: all except those in the tables here.

Names are compared as the most lenient server would read them: percent-decoded twice, ignoring case, ``-``, ``_``,
``.``, a ``[...]`` suffix and surrounding blanks. ``;`` separates parameters as ``&`` does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote_plus

from proxy.errors import ClientFault

# Credentials are for the gateway only. Names that end with "key" or "token" count as credentials, except for usual
# names of other things: a lost parameter is noticed, a leaked credential is not.
_CREDENTIAL: Final = re.compile(
    r"(?!(?:sort|order|partition|primary|foreign|cache|group|public|idempotency|promptcache|row|mon|don|tur)key$)\w*key"
    r"|(?!\w*(?:page|next|continuation|continue|sync|cursor|resume|delta|start|max|min)token$)\w*token"
    r"|awsaccesskeyid|\w*keyid|functionscode"
    r"|\w*(?:secret|passw(?:or)?d|passphrase|credentials?|cookie|bearer|jwt|signature)"
    r"|(?:secret|passw(?:or)?d|credential|bearer|jwt)\w*"
    r"|pwd|passwd|pass|sig|hmac|\w*assertion"
    r"|\w*oauth2?|(?:http|proxy|x|basic|api|user)?auth(?:orization|entication|user|code|data|hash)?"
).fullmatch
_SECRET_VALUE: Final = re.compile(
    r"\s*(?:(?:bearer|basic)\s+\S|(?:sk|rk|gsk|xai|hf|pplx|nvapi|fw|csk|r8)[-_][\w-]{16}|AIza[\w-]{30}"
    r"|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.)",
    re.IGNORECASE,
).match

# In some frameworks these replace the request's method (Rails, Laravel, Express' method-override, OData).
_METHOD: Final = frozenset(
    {"method", "httpmethod", "requestmethod", "methodoverride", "httpmethodoverride"}
    | {"xhttpmethod", "xmethodoverride", "xhttpmethodoverride"}
)


def check(query: str, *, opaque: bool) -> None:
    """Refuse parameters that override what was checked: the method, the model. Raises ClientFault (400).

    ``opaque``: the request is relayed unread, so ``model`` may mean anything.
    """
    if "#" in query:
        raise ClientFault("The query has a '#'; send it as %23.", code="bad_query")
    for parameter in re.split("[&;]", query):
        name = _name_of(parameter)
        # `method` is an ordinary parameter; frameworks use `_method`.
        if name in _METHOD and (name != "method" or unquote_plus(unquote_plus(parameter)).lstrip().startswith("_")):
            raise ClientFault("The query must not replace the method of the request.", code="method_in_query")
        if name == "model" and not opaque:
            raise ClientFault(
                "The query must not name a model. Send 'model' in the body.", param="model", code="model_in_query"
            )


def forwarded(query: str) -> str:
    """The query string without credentials, by name or by value. All other bytes are unchanged."""
    parts = re.split("([&;])", query)
    kept = list(_kept(parts))
    if 2 * len(kept) == len(parts) + 1:
        return query
    return "".join(separator + part for separator, part in kept)[len(kept[0][0]) :] if kept else ""


def _kept(parts: list[str]) -> Iterator[tuple[str, str]]:
    """Each forwarded parameter with the separator before it."""
    for i in range(0, len(parts), 2):
        if not _is_secret(parts[i]):
            yield parts[i - 1] if i else "", parts[i]


def _is_secret(parameter: str) -> bool:
    if _CREDENTIAL(_name_of(parameter)) is not None:
        return True
    return _SECRET_VALUE(unquote_plus(unquote_plus(parameter.partition("=")[2]))) is not None


def _name_of(parameter: str) -> str:
    name = unquote_plus(unquote_plus(parameter.partition("=")[0])).partition("[")[0].strip().lower()
    return name.replace("-", "").replace("_", "").replace(".", "")
