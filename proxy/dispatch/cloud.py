"""What a provider of a cloud needs beyond other providers: changed members, another path, an issued credential.

Requests of all other providers skip this module.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from proxy.client.credentials.base import UnsignedRequest
from proxy.errors import ClientFault

if TYPE_CHECKING:
    from proxy.dispatch.attempt import AttemptRun
    from proxy.relay.body import CollectedAnswer
    from proxy.relay.upstream_call import UpstreamCall

# The action in a request line: what follows the last colon of the path.
_action: Final = re.compile(rb":\w+(?=[? ])")


async def run_in_cloud(run: AttemptRun, upstream_call: UpstreamCall) -> CollectedAnswer | None:
    """Complete the request of an attempt, and run it. Raises what ``UpstreamCall.run`` does, and UpstreamAuthFailed."""
    _adapt(run, upstream_call)
    source = run.attempt.key.source
    if source is not None:
        outgoing = upstream_call.upstream_request
        if outgoing.upload is not None and source.signs:
            raise ClientFault(
                "This provider's requests are signed with their body, so bodies cannot be passed through to it.",
                code="unsupported_upload",
            )
        head, _, rest = outgoing.head.partition(b"\r\n\r\n")
        start, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = start.split(" ", 2)
        headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        unsigned = UnsignedRequest(method, target, headers, outgoing.body)
        added = await run.dispatch.dispatcher.credentials.lines(source, unsigned)
        if run.race is not None:
            run.race.check(run.attempt)  # another attempt may have won meanwhile
        outgoing.head = b"%b\r\n%b\r\n%b" % (head, added, rest)
    return await upstream_call.run()


def _adapt(run: AttemptRun, upstream_call: UpstreamCall) -> None:
    """Make the request again with the changes that the kind of provider needs, if there are any."""
    call, endpoint = run.responder.call, run.dispatch.exchange.endpoint
    if call is None:
        return
    kind, translated = run.attempt.deployment.sites[endpoint.path].kind, run.translated
    if translated is None:
        version = run.responder.request.headers.get("anthropic-version", "")
        changes = kind.call_changes(endpoint.path, call, version)
    else:
        changes = kind.call_changes(translated.endpoint.path, translated.call, "")
    if changes is None:
        return
    if translated is None:
        run.changes = {**(run.changes or {}), **changes.members}
    else:
        translated.changes = changes.members
    upstream_call.upstream_request = outgoing = run.dispatch.make_request(run)
    if changes.action:
        line, end, rest = outgoing.head.partition(b"\r\n")
        outgoing.head = _action.sub(b":" + changes.action.encode(), line, 1) + end + rest
