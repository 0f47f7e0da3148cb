"""The Consul agent: its client, blocking queries and keys, for discovery, the store of services, and leases.

settings.py   where the agent is: configuration, then Consul's own variables
client.py     one request
watching.py   blocking queries: the index, and how often
keys.py       the KV store: names, entries, transactions
"""
