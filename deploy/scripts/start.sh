#!/bin/sh
# Starts the gateway in the background.
set -eu
# shellcheck source=common.sh
. "$(dirname "$(readlink -f -- "$0")")/common.sh"

usage() {
    cat <<'TEXT'
start.sh [OPTIONS]: runs the gateway in the background, and returns when it is ready.

  --config FILE    the configuration (default: as `sluice serve` finds it)
  --dir FOLDER     the working directory (default: this checkout, else the current folder)
  --pid-file FILE  default: sluice.pid in dataDir
  --log FILE       appended to; default: sluice.log in dataDir
  --wait SECONDS   how long it may take until it is ready (default: 30); otherwise it is stopped again
  --help

The program is $SLUICE, else that of this checkout (scripts/setup installs it), else `sluice` of the PATH.
Exit status: 0 if it is ready, 1 if it cannot be started or runs already, 2 for wrong usage. On a server, use the systemd
unit instead: it starts the gateway at boot and after a crash.
TEXT
}

pid_file='' log='' patience=30
while [ $# -gt 0 ]; do
    case $1 in
        --config) has_value "$@" && config=$2 && shift ;;
        --dir) has_value "$@" && dir=$2 && shift ;;
        --pid-file) has_value "$@" && pid_file=$(absolute "$2") && shift ;;
        --log) has_value "$@" && log=$(absolute "$2") && shift ;;
        --wait) has_value "$@" && number "$@" && patience=$2 && shift ;;
        --help) usage && exit ;;
        *) wrong_usage "unknown argument \"$1\"" ;;
    esac
    shift
done

need_program
read_facts
data=$(fact data)
address=$(fact address)
pid_file=${pid_file:-$data/sluice.pid}
log=${log:-$data/sluice.log}
case $address in *:0) fail "server.port is 0, so the address would not be known; set a port" ;; esac

umask 077 # the log has the admin link
mkdir -p "$(dirname "$pid_file")" "$(dirname "$log")"
mkdir "$pid_file.lock" 2>/dev/null || fail "another start.sh is at work; if none is, remove the folder $pid_file.lock"
clean_up_at_signals
trap 'rmdir "$pid_file.lock"' EXIT

if pid=$(running_pid "$pid_file"); then
    fail "the gateway runs already (process $pid, $pid_file); stop.sh stops it"
fi
if [ -f "$pid_file" ]; then
    say "removing $pid_file: its process has ended"
    rm "$pid_file"
fi
if call_sluice health 2>/dev/null; then
    fail "something answers at $address already; stop it, or set another port"
fi

rm -f "$pid_file.stopping"
size=0
[ ! -f "$log" ] || size=$(wc -c <"$log")
# Without the token of the admin link.
new_lines() { tail -c "+$((size + 1))" "$log" | sed 's/ Admin: .*//' | tail -n 5 >&2; }

cd "$dir"
if command -v setsid >/dev/null; then
    setsid "$program" serve </dev/null >>"$log" 2>&1 &
else
    nohup "$program" serve </dev/null >>"$log" 2>&1 &
fi
pid=$!
printf '%s\n' "$pid" >"$pid_file.part"
mv "$pid_file.part" "$pid_file"
say "started process $pid, which writes to $log"

deadline=$(($(date +%s) + patience))
until why=$(call_sluice health --ready 2>&1); do
    if ! kill -0 "$pid" 2>/dev/null; then
        rm -f "$pid_file"
        new_lines
        fail "the gateway ended before it was ready; the lines above are the end of $log"
    fi
    if [ "$(date +%s)" -ge "$deadline" ]; then
        kill "$pid" 2>/dev/null || true
        wait "$pid" || true
        rm -f "$pid_file"
        new_lines
        fail "the gateway was not ready after $patience s and is stopped again: $why"
    fi
    sleep 0.2
done
kill -0 "$pid" 2>/dev/null || fail "something else answers at $address, and the process has ended; see $log"
say "ready at $address (process $pid)"
