"""What of a request's query goes on to a provider: everything but what stands in the tables here.

Names are compared as a lenient server would read them: percent-decoded, some decode twice, without regard to case,
``-``, ``_``, ``.``, a ``[...]`` behind them and blanks around; ``;`` separates parameters as ``&`` does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote_plus

from proxy.errors import ClientFault

# The credential is the gateway's. A name that ends with "key" or "token" is one, but for the usual names of other
# things: to lose a parameter is noticed, to leak a credential is not.
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

# Frameworks let them replace the method that passthrough allowed (Rails, Laravel, Express' method-override, OData).
_METHOD: Final = frozenset(
    {"method", "httpmethod", "requestmethod", "methodoverride", "httpmethodoverride"}
    | {"xhttpmethod", "xmethodoverride", "xhttpmethodoverride"}
)


def check(query: str, *, opaque: bool) -> None:
    """Refuse what lets a provider do something else than what was checked. Raises ClientFault (400).

    ``opaque``: what is asked for is not read. Of a call, the model is read in the body only.
    """
    if "#" in query:
        raise ClientFault("The query has a '#'; send it as %23.", code="bad_query")
    for parameter in re.split("[&;]", query):
        name = _name_of(parameter)
        # `method` alone is a parameter like any other; frameworks' own begins with an underscore.
        if name in _METHOD and (name != "method" or unquote_plus(unquote_plus(parameter)).lstrip().startswith("_")):
            raise ClientFault("The query must not replace the method of the request.", code="method_in_query")
        if name == "model" and not opaque:
            raise ClientFault(
                "The query must not name a model. Send 'model' in the body.", param="model", code="model_in_query"
            )


def forwarded(query: str) -> str:
    """A query string without parameters that are credentials, by their name or their value; the rest byte for byte."""
    parts = re.split("([&;])", query)
    kept = list(_kept(parts))
    if 2 * len(kept) == len(parts) + 1:
        return query
    return "".join(separator + part for separator, part in kept)[len(kept[0][0]) :] if kept else ""


def _kept(parts: list[str]) -> Iterator[tuple[str, str]]:
    """Each parameter with the separator before it."""
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
