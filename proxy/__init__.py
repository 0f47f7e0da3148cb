"""Sluice: a streaming LLM gateway. Its modules, from the outside in:

__main__         the command line
commands/        one file per command: its output and its exit status
process          signals, the start line
app              the composition root: starts and stops every part
running_config   the configuration in force, and how a reload replaces it
listeners        the listener of the API, and that of the control plane
control/         the control plane: admin API, health, dashboard, documentation
gateway          the path of a model call
serving          what every request of every listener passes
auth/            who calls: API keys, JSON Web Tokens, addresses
limits/          rate limits, in this process or in Redis
fleet/           breaker states that replicas share
dispatch/        the attempts of one exchange
responder        the response to one request
router_metadata  which provider answered, as the client sees it
hooks            where guardrails and caches attach
relay/           one upstream call, and the pump of its response
server/          the client's side: connection, request, response, TLS
client/          the provider's side: connection, pool, dial, TLS
net/             what both sides use: clocks, header rules, buffers
observe/         log, metrics, traces, observers of exchanges
demo/            a built-in provider for trying the gateway out
database/        SQLite or PostgreSQL: engine, migrations, API keys
redis/           the client that limits, breakers and caches share
exchange         the facts of one request with all its attempts
identity         the client that a credential stands for
routing/         catalog, plan, strategies, live state: pure
breakers/        circuit breakers: pure
providers/       kinds of providers: address, credential, errors: pure
dialects/        wire schemas: what bytes of OpenAI's API mean: pure
wire/            JSON, SSE and multipart, without any dialect: pure
config/          YAML and environment to one frozen Config
runtime/         event loop, threads, shutdown
errors           errors as decisions: status, code, retryable or not
"""

__version__ = "0.1.0"
