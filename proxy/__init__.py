"""Sluice: a streaming LLM gateway. A map, from the outside in:

app        what it is made of; start and stop           control/    admin API, dashboard, docs
gateway    the path of a request                        dispatch/   the attempts of one exchange, and what follows each
responder  how an answer leaves                         router_metadata  who answered, as the client sees it
relay/     one upstream call, and the pump of its answer  hooks     where guardrails and caches attach
server/    the client's side: connection, request, reply  client/   the provider's side: connection, pool, dial
net/       what both sides use: outbox, clocks, headers
exchange   what happened to one client request          observe/    metrics and log
routing/   names to candidates, and the rules           breakers/   who is left alone for a while
providers/ who answers, where, and what an error means  wire/       bytes to meaning, no I/O
config/    YAML to one frozen Config                    demo/       an upstream to try it with
identity   who asks                                     process    start line, signals
redis      one client for everything shared             auth/       keys, tokens, addresses
limits/    buckets and slots, here or shared            database/   keys made at run time
fleet/     what replicas tell each other
"""

__version__ = "0.1.0"
