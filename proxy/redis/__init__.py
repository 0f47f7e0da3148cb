"""The Redis server that replicas share.

client.py       the pool of connections, and settings of all that use it
pool.py         the connections themselves
connection.py   a connection that one user keeps, and scripts
pipeline.py     commands of many callers in one write
"""
