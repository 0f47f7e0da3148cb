#!/bin/sh
# rabbitmq.sh: starts RabbitMQ, unless it has no password of its own: without one it would have the user guest.
set -eu
: "${RABBITMQ_DEFAULT_PASS:?rabbitmq.sh: RABBITMQ_PASSWORD is missing. Make one with openssl rand -hex 32 and set it in deploy/.env}"
exec docker-entrypoint.sh rabbitmq-server
