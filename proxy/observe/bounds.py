"""Bucket bounds of the histograms, in seconds."""

from __future__ import annotations

# Doubling from 10 ms, as OpenTelemetry recommends for gen_ai.client.operation.duration, with two more steps:
# reasoning models run for minutes (https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/).
DURATION = tuple(0.01 * 2**step for step in range(16))
# As gen_ai.server.time_to_first_token on the same page, without values below 20 ms, and up to the idle timeouts of
# load balancers (30, 60, 120 s).
FIRST_TOKEN = (0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0, 120.0)
# From fluent (a token each 20 to 100 ms) and stuttering (1 s) to the timeouts that end a stream: 15 s is the gateway's
# ping interval, 60 s a common idle timeout.
GAP = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0)
# From a thousand tokens per second (1 ms) to a noticeable wait for each word; between as OpenTelemetry recommends for
# gen_ai.server.time_per_output_token.
INTER_TOKEN = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
# The loop's clock has a resolution of 1 ms, and the gateway computes for 0.1 ms per call. So these are waits for a
# body, a limiter or a database.
OVERHEAD = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
# Connecting takes one to four round trips: 1 ms in the same data center, 10 s is the usual connect timeout.
CONNECT = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# Answers of services of any kind: from a cache hit (1 ms) to a long poll or a stream (5 minutes).
SERVICE = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
