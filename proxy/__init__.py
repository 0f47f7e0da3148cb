"""Sluice: a streaming LLM gateway. A map, from the outside in:

app        what it is made of; start and stop           control/    pages beside the API
gateway    the path of a request                        asking      what a provider is asked
delivery   how an answer leaves                         hooks       where guardrails and caches attach
transport/ the two sockets, and the relay between them  observe/    metrics and log
exchange   what happened to one client request          routing/    names to deployments
providers/ who answers, and where                       wire/       bytes to meaning, no I/O
config/    YAML to one frozen Config                    demo/       an upstream to try it with
"""

__version__ = "0.1.0"
