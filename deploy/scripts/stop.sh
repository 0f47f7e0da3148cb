#!/bin/sh
# Stops the gateway that start.sh started.
set -eu
# shellcheck source=common.sh
. "$(dirname "$(readlink -f -- "$0")")/common.sh"

usage() {
    cat <<'TEXT'
stop.sh [OPTIONS]: stops the gateway that start.sh started. Running requests get server.drainSecs to end.

  --config FILE    the configuration (default: as `sluice serve` finds it)
  --dir FOLDER     the working directory, as for start.sh
  --pid-file FILE  default: sluice.pid in dataDir
  --wait SECONDS   how long it may take (default: server.drainSecs and 10 more)
  --kill           after that time, kill it; running requests break
  --help

Exit status: 0 if it has ended or did not run, 1 if it still runs, 2 for wrong usage.
TEXT
}

pid_file='' patience='' last_resort=''
while [ $# -gt 0 ]; do
    case $1 in
        --config) has_value "$@" && config=$2 && shift ;;
        --dir) has_value "$@" && dir=$2 && shift ;;
        --pid-file) has_value "$@" && pid_file=$(absolute "$2") && shift ;;
        --wait) has_value "$@" && number "$@" && patience=$2 && shift ;;
        --kill) last_resort=yes ;;
        --help) usage && exit ;;
        *) wrong_usage "unknown argument \"$1\"" ;;
    esac
    shift
done

need_program
# With both options a gateway can be stopped while its configuration has mistakes.
if [ -z "$pid_file" ] || [ -z "$patience" ]; then
    read_facts
    pid_file=${pid_file:-$(fact data)/sluice.pid}
    drain=$(fact drain_secs)
    patience=${patience:-$((${drain%%.*} + 11))}
fi
if [ ! -f "$pid_file" ]; then
    say "nothing to stop: there is no $pid_file"
    exit 0
fi
pid=$(sed -n 1p "$pid_file")
if ! is_gateway "$pid"; then
    rm "$pid_file"
    say "nothing to stop: process $pid is no gateway of this folder; removed $pid_file"
    exit 0
fi

# A second signal would end it at once, and break the running requests.
began=$(date +%s)
stopping=$pid_file.stopping
if [ -f "$stopping" ] && [ "$(cat "$stopping")" = "$pid" ]; then
    say "process $pid is stopping already; waiting up to $patience s for running requests"
else
    kill "$pid" || fail "process $pid cannot be signaled; run this as its user or as root"
    printf '%s\n' "$pid" >"$stopping"
    say "asked process $pid to stop; waiting up to $patience s for running requests"
fi
while is_gateway "$pid"; do
    if [ $(($(date +%s) - began)) -ge "$patience" ]; then
        [ -n "$last_resort" ] || fail "process $pid still runs after $patience s; --kill would end it now"
        kill -9 "$pid" 2>/dev/null || true
        while is_gateway "$pid"; do sleep 0.1; done
        rm -f "$pid_file" "$stopping"
        say "killed process $pid after $patience s"
        exit 0
    fi
    sleep 0.1
done
rm -f "$pid_file" "$stopping"
say "stopped after $(($(date +%s) - began)) s"
