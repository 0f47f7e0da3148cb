#!/bin/sh
# Watches a gateway, and reports when its state changes.
set -eu
# shellcheck source=common.sh
. "$(dirname "$(readlink -f -- "$0")")/common.sh"
# shellcheck disable=SC2034  # the status of fail and wrong_usage: UNKNOWN of a Nagios plugin
failure=3

usage() {
    cat <<'TEXT'
health-monitor.sh [OPTIONS]: checks the gateway, its disk and its certificate, and reports each change of the state.

  --once              one check, one line, and an exit status: for cron, or as a plugin of Nagios
  --interval SECONDS  between two checks (default: 30)
  --confirm N         a change counts after N checks with the same result (default: 2; with --once: 1)
  --command COMMAND   run by sh at each change, with SLUICE_STATE, SLUICE_PREVIOUS and SLUICE_MESSAGE
  --restart COMMAND   run by sh while the gateway is dead, such as 'systemctl restart sluice'. Without it nothing is restarted
  --state-file FILE   keeps the state between runs, so that --once and a restarted monitor report changes only
  --url URL           the gateway's address (default: that of the configuration)
  --disk-percent N    WARNING if the disk of dataDir is N % full (default: 90)
  --cert-days N       WARNING if the certificate of server.tls expires within N days (default: 14)
  --config FILE, --dir FOLDER   as for start.sh
  --help

The webhook is SLUICE_WEBHOOK_URL in the environment, since such addresses are secrets. It gets a POST of
{"text": ..., "state": ..., "previous": ..., "host": ...}. If a command or the webhook fails, or the gateway is still dead, it is
called again after 1, 2, 4, ... 64 intervals; with --once, at each run.

OK (exit status 0); WARNING (1): disk or certificate; CRITICAL (2): dead, not ready, or the certificate has expired; UNKNOWN
(3): it cannot be checked, or wrong usage. Dead means that /health/live does not answer. What is not ready is not restarted.
TEXT
}

once='' interval=30 confirm='' command='' restart='' state_file='' url='' disk_percent=90 cert_days=14
while [ $# -gt 0 ]; do
    case $1 in
        --once) once=yes ;;
        --interval) has_value "$@" && number "$@" && interval=$2 && shift ;;
        --confirm) has_value "$@" && number "$@" && confirm=$2 && shift ;;
        --command) has_value "$@" && command=$2 && shift ;;
        --restart) has_value "$@" && restart=$2 && shift ;;
        --state-file) has_value "$@" && state_file=$(absolute "$2") && shift ;;
        --url) has_value "$@" && url=$2 && shift ;;
        --disk-percent) has_value "$@" && number "$@" && disk_percent=$2 && shift ;;
        --cert-days) has_value "$@" && number "$@" && cert_days=$2 && shift ;;
        --config) has_value "$@" && config=$2 && shift ;;
        --dir) has_value "$@" && dir=$2 && shift ;;
        --help) usage && exit ;;
        *) wrong_usage "unknown argument \"$1\"" ;;
    esac
    shift
done
[ "$interval" -gt 0 ] || wrong_usage "--interval needs a number from 1"
confirm=${confirm:-$([ -n "$once" ] && echo 1 || echo 2)}
webhook=${SLUICE_WEBHOOK_URL:-}
case $webhook in
    '') ;;
    *[\"\\]* | *[[:space:]]*) fail "SLUICE_WEBHOOK_URL has a quote, a backslash or a space; write it as %22, %5C or %20" ;;
    http://* | https://*) need curl curl ;;
    *) fail "SLUICE_WEBHOOK_URL must begin with http:// or https://" ;;
esac
need_program
read_facts
data=$(fact data)
cert=$(fact certificate)
[ -z "$cert" ] || need openssl openssl

# The state that was reported last. At the first start, a healthy gateway is no news.
reported=OK
if [ -n "$state_file" ]; then
    touch "$state_file" 2>/dev/null || fail "$state_file cannot be written"
    case $(cat "$state_file") in WARNING | CRITICAL | UNKNOWN) reported=$(cat "$state_file") ;; esac
fi

# note LEVEL TEXT: adds to the result; the worst level counts.
note() {
    [ "$level" -ge "$1" ] || level=$1
    message="$message${message:+, }$2"
}

check_gateway() {
    dead=''
    if why=$(call_sluice health --ready ${url:+--url "$url"} 2>&1); then
        note 0 "ready"
    elif call_sluice health ${url:+--url "$url"} 2>/dev/null; then
        note 2 "not ready: $why"
    elif [ -z "$url" ] && ! mistakes=$(call_sluice paths 2>&1); then
        # A running gateway still uses the previous configuration, and a restart would end it.
        note 3 "cannot be checked, since the configuration has mistakes: $(printf '%s\n' "$mistakes" | sed -n 1p)"
    else
        dead=yes
        note 2 "dead: $why"
    fi
}

check_disk() {
    # A folder that is not made yet is on the disk of its parent.
    folder=$data
    until [ -e "$folder" ]; do folder=$(dirname "$folder"); done
    used=$(df -P "$folder" | sed -n 2p | tr -s ' ' | cut -d ' ' -f 5 | tr -d %)
    case $used in
        '' | *[!0-9]*) note 1 "the disk of $folder cannot be measured" ;;
        *) note "$([ "$used" -lt "$disk_percent" ] && echo 0 || echo 1)" "disk $used % full" ;;
    esac
}

check_certificate() {
    [ -n "$cert" ] || return 0
    if ! ends=$(openssl x509 -enddate -noout -in "$cert" 2>/dev/null); then
        note 1 "$cert cannot be read as a certificate"
    elif ! openssl x509 -checkend 0 -noout -in "$cert" >/dev/null; then
        note 2 "certificate expired at ${ends#*=}"
    elif ! openssl x509 -checkend $((cert_days * 86400)) -noout -in "$cert" >/dev/null; then
        note 1 "certificate expires at ${ends#*=}"
    else
        note 0 "certificate valid until ${ends#*=}"
    fi
}

# Sets `state`, `message` and `dead`.
check() {
    level=0 message=''
    check_gateway
    check_disk
    check_certificate
    case $level in 0) state=OK ;; 1) state=WARNING ;; 2) state=CRITICAL ;; *) state=UNKNOWN ;; esac
}

json() { printf '%s' "$1" | tr '\n\t\r' '   ' | tr -d '\000-\037' | sed 's/\\/\\\\/g; s/"/\\"/g'; }

# notify: returns 1 if the command or the webhook failed.
notify() {
    failed=0
    if [ -n "$command" ]; then
        SLUICE_STATE=$state SLUICE_PREVIOUS=$reported SLUICE_MESSAGE=$message sh -c "$command" || {
            warn "--command ended with status $?"
            failed=1
        }
    fi
    if [ -n "$webhook" ]; then
        body="{\"text\": \"Sluice is $state: $(json "$message")\", \"state\": \"$state\", \"previous\": \"$reported\", \"host\": \"$(uname -n)\"}"
        # The address by standard input: a command line can be read by every user.
        printf 'url = "%s"\n' "$webhook" |
            curl --config - --globoff --silent --show-error --fail --max-time 10 --output /dev/null \
                --header 'Content-Type: application/json' --data "$body" || {
            warn "the webhook did not take the change"
            failed=1
        }
    fi
    return $failed
}

# report: notifies of a change, and remembers it if that succeeded.
report() {
    notify || return 1
    reported=$state
    [ -z "$state_file" ] || { printf '%s\n' "$state" >"$state_file.part" && mv "$state_file.part" "$state_file"; }
}

revive() {
    say "the gateway is dead; running: $restart"
    sh -c "$restart" || warn "--restart ended with status $?"
}

if [ -n "$once" ]; then
    check
    # First, since a plugin's first line counts.
    echo "SLUICE $state - $message"
    [ "$state" = "$reported" ] || report || true
    if [ -n "$dead" ] && [ -n "$restart" ]; then revive; fi
    exit "$level"
fi

sleeper=''
trap 'kill $sleeper 2>/dev/null || true; say "stopped"; exit 0' INT TERM
seen='' count=0
# Checks to skip before the next call, and how many after the next failure.
report_in=0 report_gap=0 revive_in=0 revive_gap=0
wider() { if [ "$1" -lt 63 ]; then echo $(($1 * 2 + 1)); else echo 63; fi; }
say "checks the gateway every $interval s"
while :; do
    check
    if [ "$state$dead" = "$seen" ]; then count=$((count + 1)); else seen=$state$dead count=1; fi
    if [ "$count" -ge "$confirm" ]; then
        if [ "$state" = "$reported" ]; then
            report_in=0 report_gap=0
        elif [ "$report_in" -gt 0 ]; then
            report_in=$((report_in - 1))
        else
            say "$reported -> $state: $message"
            if report; then report_gap=0; else report_in=$report_gap report_gap=$(wider "$report_gap"); fi
        fi
        if [ -z "$dead" ]; then
            revive_in=0 revive_gap=0
        elif [ -n "$restart" ] && [ "$revive_in" -gt 0 ]; then
            revive_in=$((revive_in - 1))
        elif [ -n "$restart" ]; then
            revive
            revive_in=$revive_gap revive_gap=$(wider "$revive_gap")
        fi
    fi
    sleep "$interval" &
    sleeper=$!
    wait "$sleeper" || true
done
