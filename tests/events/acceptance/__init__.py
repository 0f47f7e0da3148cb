"""Events end to end, all of it real: two gateways, RabbitMQ, PostgreSQL, ``sluice ledger consume``, and consumers.

    python -m tests.events.table
    python -m tests.events.kills [--kills 10] [--only NAME]

Gateway A has its ledger in PostgreSQL. Gateway B has no database (``ledger.mode: events``).

``site`` what runs · ``listener`` the consumers
"""
