"""A small server without a model, for a first run and for trying faults. It speaks three APIs.

models     the table: names, descriptions, behavior
faults     how a broken provider changes a response
reply      what is answered, independent of the dialect
words      the texts
answer     a response as a list of timed frames
player     writes frames on time
api        what the endpoints of one API share
endpoints  the table of endpoints
server     reads requests and finds their endpoints
"""
