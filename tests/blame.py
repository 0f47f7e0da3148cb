"""Check that requests which a provider rejects do not affect another client of the same gateway.

One client sends rejected requests without a pause, the other valid ones. ``python -m tests.blame --seconds 60`` prints
the responses of both, and exits with 1 if the second client got an error.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import cycle
from typing import Any, Final

import uvloop
from msgspec import Struct

from tests.support import RawClient, Upstream, chat_events, completion, error_json, json_answer, sse, sse_answer
from tests.support.gateway import Gateway
from tests.support.steps import Script
from tests.support.upstream import Request

CHAT: Final = "/v1/chat/completions"
AT_ONCE: Final = 4  # connections of the client whose requests are rejected
HTML: Final = b"<html><title>Attention Required! | Cloudflare</title></html>"

Blame = Mapping[str, tuple[int, dict[str, Any]]]
# Rejections of a provider that only the request itself caused: status and body.
REFUSALS: Final[Blame] = {
    "a model that the account may not use": (
        403,
        error_json("Project `proj_a1b2` does not have access to model `m`", code="model_not_found"),
    ),
    "max_tokens beyond the credit": (
        402,
        error_json("This request requires more credits, or fewer max_tokens. You can only afford 1200.", code="402"),
    ),
    "a prompt beyond the credit": (402, error_json("Prompt tokens limit exceeded: 9000 > 1000.", code="402")),
    "a prompt that a firewall blocks": (403, {}),
    "a prompt that a guardrail blocks": (403, error_json("Blocked: 'the API key is not valid'", code="policy")),
    "a scope that the key lacks": (
        401,
        error_json("You have insufficient permissions for this operation.", code="missing_scope"),
    ),
    "a request beyond the limit of a minute": (
        429,
        error_json("Request too large for m on tokens per min (TPM): Limit 30000, Requested 31538.", code="tokens"),
    ),
    "the same as sent by Groq": (
        413,
        error_json("Request too large for model `m` on TPM: Limit 6000, Requested 9014.", code="rate_limit_exceeded"),
    ),
    "a body that is too large": (413, {}),
    "a wrong value that reads like a wrong key": (400, error_json("Invalid value: 'API_KEY_INVALID'.", code="odd")),
    "an odd value": (422, {"detail": [{"loc": ["body", "n"], "msg": "Input should be 1"}]}),
}
# Rejections in the body of a 200.
LATE: Final = {
    f"{name} in the body of a 200": refusal[1]
    for name, refusal in {
        "a 400": (400, {"error": {"message": "Bad tool", "code": 400}}),
        "a 402": (402, {"error": {"message": "Credits", "code": 402}}),
        "a 403": (403, {"error": {"message": "Blocked", "code": 403}}),
    }.items()
}


class Account(Struct):
    """Responses by status for the valid client, and by rejection and status for the other one."""

    served: Counter[int]
    refused: Counter[tuple[str, int]]

    @property
    def errors(self) -> int:
        return sum(count for status, count in self.served.items() if status != 200)


async def play(keys: int, going_on: Callable[[Account], bool], spare: bool = False) -> Account:
    """Run both clients while ``going_on``. ``keys``: number of provider keys; ``spare``: configure a fallback."""
    account = Account(Counter(), Counter())
    async with Upstream() as up:
        up.on(_answer)
        async with Gateway(_house(up, keys, spare)) as gateway:
            disturbing = [asyncio.create_task(_disturb(gateway.port, account)) for _ in range(AT_ONCE)]
            try:
                async with RawClient(gateway.port) as client:
                    while going_on(account):
                        for stream in (False, True):
                            answer = await client.fetch("POST", CHAT, json=_call("all is well", stream))
                            account.served[answer.status if b"whole" in answer.body else -1] += 1
            finally:
                for task in disturbing:
                    task.cancel()
                await asyncio.gather(*disturbing, return_exceptions=True)
    return account


def _house(up: Upstream, keys: int, spare: bool) -> dict[str, Any]:
    provider: dict[str, Any] = {"baseUrl": up.url}
    if keys:
        provider["apiKeys"] = [f"key-number-{number}" for number in range(keys)]
    models = [{"name": name, "provider": "up"} for name in ("m", "forbidden")]
    routing: dict[str, Any] = {"retryDelay": 1}  # so that the rejected client never waits
    house: dict[str, Any] = {"providers": {"up": provider}, "models": models, "routing": routing}
    if spare:
        house["providers"]["spare"] = {"baseUrl": f"{up.origin}/spare/v1"}
        models.append({"name": "spare", "provider": "spare"})
        routing["fallback"] = {"provider": "spare", "model": "spare"}
    return house


def _call(text: str, stream: bool) -> dict[str, Any]:
    model = "forbidden" if text == "a model that the account may not use" else "m"
    return {"model": model, "stream": stream, "messages": [{"role": "user", "content": text}]}


def _answer(request: Request) -> Script:
    """Respond as the provider; the prompt names the rejection."""
    name, stream = request.json["messages"][0]["content"], request.json["stream"]
    if name in REFUSALS:
        status, body = REFUSALS[name]
        return json_answer(body if body else HTML.decode(), status, [("Retry-After", "60")] if status == 429 else [])
    if name in LATE:
        return sse_answer(sse(LATE[name])) if stream else json_answer(LATE[name])
    return sse_answer(*chat_events("whole")) if stream else json_answer(completion("whole"))


async def _disturb(port: int, account: Account) -> None:
    async with RawClient(port) as client:
        for name in cycle((*REFUSALS, *LATE)):
            for stream in (False, True):
                answer = await client.fetch("POST", CHAT, json=_call(name, stream))
                account.refused[name, answer.status] += 1


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.blame", description="Do rejected requests of one client affect another client?"
    )
    parser.add_argument("--seconds", type=float, default=60.0, metavar="S", help="duration for each number of keys")
    parser.add_argument("--spare", action="store_true", help="configure a fallback")
    chosen = parser.parse_args()
    errors = 0
    for keys in (0, 1, 3):
        end = time.monotonic() + chosen.seconds
        account = uvloop.run(play(keys, lambda _, end=end: time.monotonic() < end, chosen.spare))
        errors += account.errors
        print(f"{keys} keys: {account.served.total()} requests served, {account.errors} errors {dict(account.served)}")
        for (name, status), count in sorted(account.refused.items()):
            print(f"  {count:>6}  {status}  {name}")
    print(json.dumps({"errors": errors}))
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
