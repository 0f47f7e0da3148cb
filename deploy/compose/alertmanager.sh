#!/bin/sh
# alertmanager.sh TEMPLATE FILE [options of alertmanager]: writes FILE, which is TEMPLATE with the value of
# ALERT_WEBHOOK_URL, and starts Alertmanager with it. (Alertmanager's configuration has no variables.)
set -eu
: "${ALERT_WEBHOOK_URL:?alertmanager.sh: ALERT_WEBHOOK_URL is missing}"
# These are special in a replacement of sed.
escaped=$(printf '%s' "$ALERT_WEBHOOK_URL" | sed 's/[\\&|]/\\&/g')
sed "s|@ALERT_WEBHOOK_URL@|$escaped|" "$1" >"$2"
file=$2
shift 2
exec alertmanager --config.file="$file" "$@"
