"""What a client is told whose call no budget covers.

Amounts are shown where they are the caller's own. What a team, a model or everyone spent is not its business.
"""

from __future__ import annotations

from datetime import UTC, datetime
from math import ceil
from typing import Final

from proxy.budgets.base import BALANCE, Shortfall
from proxy.errors import BudgetExceeded, GatewayError, NoPrice

OWN: Final = frozenset(("owner", "key", "run"))  # levels whose amounts are shown

_WHOSE: Final = {
    "everyone": "of the whole gateway",
    "owner": "of your account",
    "key": "of your API key",
    "team": "of your team",
    "project": "of your project",
    "model": "of this model",
    "provider": "of this provider",
    "run": "of this run",
}


def refusal(short: Shortfall, now: float, rate: float = 1.0, currency: str = "USD") -> GatewayError:
    """The error for a client. ``now``: Unix seconds. ``rate``: units of ``currency`` for one USD."""
    counter = short.counter
    renewed_in = None if counter.ends is None else max(1, ceil(counter.ends - now))
    return BudgetExceeded(_text(short, rate, currency), retry_after=renewed_in, detail=_detail(short, rate, currency))


def _detail(short: Shortfall, rate: float, currency: str) -> str:
    """For the operator: the counter, and the amounts that the client may not be shown."""
    counter = short.counter
    cap, used, needed, spent = (
        _money(each, rate, currency) if counter.budget.unit == "usd" else f"{each:,} tokens"
        for each in (counter.cap, short.used, short.needed, counter.base + counter.spent)
    )
    key = counter.key.encode("utf-8", "replace").decode()  # a model's name may have half a surrogate pair
    return f"{key}: needed {needed}, used {used} (spent {spent}), cap {cap}"


def _text(short: Shortfall, rate: float, currency: str) -> str:
    counter = short.counter
    budget = counter.budget
    if budget.name == BALANCE:
        left = counter.cap - counter.base - counter.spent  # below 0: a debt
        held = f", of which running calls may use {_money(counter.held, rate, currency)}" if counter.held else ""
        return (
            f"Your balance does not cover this call: it is {_money(left, rate, currency)}{held}, and the call may cost"
            f" {_money(short.needed, rate, currency)}. Ask the operator of the gateway to add to it"
            + (", or request fewer tokens (max_tokens)." if left > 0 else ".")
        )
    whose = _WHOSE.get(budget.level, f"of the label {budget.label}")
    renewed = f"It is renewed at {_moment(counter.ends)}." if counter.ends is not None else "It is not renewed."
    if budget.level not in OWN:
        return f"The budget {budget.name!r} {whose} does not cover this call. {renewed}"
    if budget.unit == "usd":
        cap, used, needed = (_money(each, rate, currency) for each in (counter.cap, short.used, short.needed))
    else:
        cap, used, needed = (f"{each:,} tokens" for each in (counter.cap, short.used, short.needed))
    smaller = " A smaller max_tokens may fit." if short.used < counter.cap else ""
    return (
        f"The budget {budget.name!r} {whose} does not cover this call: {used} of {cap} are spent or held by running"
        f" calls, and this one may cost {needed}.{smaller} {renewed}"
    )


def no_price(model: str) -> GatewayError:
    return NoPrice(
        f"The model {model!r} has no price, so a budget cannot cover it. The operator of the gateway can give it"
        " prices, or set billing.onUnpriced to allow."
    )


def _money(nano: int, rate: float, currency: str) -> str:
    whole, _, rest = f"{abs(nano) * rate / 1e9:,.6f}".partition(".")
    text, sign = f"{whole}.{rest.rstrip('0'):0<2}", "-" if nano < 0 else ""
    return f"{sign}${text}" if currency == "USD" else f"{sign}{text} {currency}"


def _moment(ends: float) -> str:
    return datetime.fromtimestamp(ends, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
