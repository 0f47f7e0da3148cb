"""Activity: recent requests, counters per second, and the event stream that keeps dashboards up to date."""
