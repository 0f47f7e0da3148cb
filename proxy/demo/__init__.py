"""A small OpenAI-compatible server without a model, for a first run and for trying faults.

models     the table: names, descriptions, behavior
faults     how a broken provider changes a response
answer     a response as a list of timed frames
words      the texts
player     writes frames on time
server     the endpoints
"""
