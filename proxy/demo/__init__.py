"""A small OpenAI-compatible server without a model: the first run streams, and every fault can be tried.

models     the table: names, descriptions, behaviours
faults     what a broken provider does to an answer
answer     an answer as a list of timed frames
words      what the demo has to say
player     writes the frames in their time
server     the endpoints
"""
