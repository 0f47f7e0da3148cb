#!/bin/sh
# redis.sh [options of redis-server]: starts Redis with the password REDIS_PASSWORD. It reads it from its standard input:
# an option would be visible in the list of processes. Limits and breakers are only worth keeping for minutes, so nothing
# is written to disk. Without memory for new keys, Redis refuses them, and rateLimiting.onStoreFailure applies.
set -eu
: "${REDIS_PASSWORD:?redis.sh: REDIS_PASSWORD is missing}"
exec redis-server - "$@" <<END
requirepass $REDIS_PASSWORD
save ""
appendonly no
maxmemory 384mb
maxmemory-policy noeviction
END
