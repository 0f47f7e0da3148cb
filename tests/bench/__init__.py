"""Benchmark: cost of a token and of a request in this gateway and in other proxies, measured in the same run.

    python -m tests.bench [--full] [--save] [--peers sluice,nginx] [--rounds N]

``__main__`` the command line · ``run`` the phases: start, interleaved rounds, long and large · ``targets`` the
required values · ``table`` the result as Markdown · ``peers/`` configuration and start of each proxy · ``upstream``
the mock provider (a process) · ``load`` the clients (a process) with ``client``, ``verify`` and ``upload`` ·
``traffic`` the bytes on the wire, by dialect in ``dialects``, of a ``conversation`` · ``measure`` CPU and memory of a
process tree · ``child`` child processes that end with the benchmark · ``awake`` keeps the proxies' core from idling ·
``ab`` two variants of this gateway against each other · ``instructions`` counts them · ``calls`` the Python functions
of a request · ``codecs`` translation without sockets · ``recorder`` the ledger's rows, from the spool into the database ·
``outbox`` the same with events, without the spool · ``figures`` reads RESULTS.md · ``capacity`` cores, memory and
money for a number of streams · ``ledger`` the ledger's queries over a million rows of ``ledger_rows``. Linux only,
except the last four: it reads CPU time from /proc. The other proxies are
measured with chat, this gateway with every dialect, and LiteLLM also as a translator from Anthropic's API to chat.
"""
