"""What a token and a request cost, in this gateway and in others, measured in the same run.

    python -m tests.bench [--full] [--save] [--peers sluice,nginx] [--rounds N]

``__main__`` the command line · ``run`` the order of play: start, interleaved rounds, long and large · ``targets`` what
must be reached · ``table`` the result as Markdown · ``peers/`` how each proxy is configured and started · ``upstream``
the mock provider (a process) · ``load`` the clients (a process) with ``client``, ``verify`` and ``upload`` · ``traffic``
the bytes that both agree on · ``measure`` CPU and memory of a process tree · ``child`` processes that end with us ·
``awake`` keeps the proxies' core at its clock · ``ab`` two variants of this gateway against each other. Linux only: it
reads the scheduler's own accounts in /proc.
"""
