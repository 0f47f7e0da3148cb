"""Settings: the effective configuration, its reload, the log level, and rate limits with their use."""
