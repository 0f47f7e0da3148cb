"""Where the buckets of the histograms end, in seconds."""

from __future__ import annotations

# Doubling from 10 ms as OpenTelemetry advises for gen_ai.client.operation.duration, and two steps further:
# reasoning models run for minutes (https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/).
DURATION = tuple(0.01 * 2**step for step in range(16))
# The same page's gen_ai.server.time_to_first_token without what no network reaches (under 20 ms), and up to
# where load balancers give up on a silent answer (30, 60, 120 s).
FIRST_TOKEN = (0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0, 120.0)
# From "fluent" (a token each 20 to 100 ms) over "it stutters" (1 s) to the clocks that can end a stream:
# 15 s is our ping, 60 s the usual idle clock.
GAP = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0)
# From a thousand tokens a second (1 ms each) to where a reader waits for every word; in between as OpenTelemetry
# advises for gen_ai.server.time_per_output_token.
INTER_TOKEN = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
# The loop's clock goes in milliseconds, and what we compute for a call takes a tenth of one: what is seen here are
# waits, for a body, a limiter, a database.
OVERHEAD = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
# A dial is one to four round trips: 1 ms in the same place, 10 s the usual connect clock.
CONNECT = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
