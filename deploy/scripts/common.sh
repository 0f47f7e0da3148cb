#!/bin/sh
# Functions of the scripts in this folder, which read this file. It does nothing by itself.
# shellcheck disable=SC2034  # variables that only those scripts use

script=${0##*/}
here=$(dirname "$(readlink -f -- "$0")")
quiet=''
config=''
dir=''

say() { [ -n "$quiet" ] || printf '%s: %s\n' "$script" "$*"; }
warn() { printf '%s: %s\n' "$script" "$*" >&2; }
fail() {
    warn "$@"
    exit "${failure:-1}"
}
wrong_usage() {
    warn "$* (--help explains the options)"
    exit "${failure:-2}"
}

# has_value OPTION [VALUE]: called with the remaining arguments.
has_value() { [ -n "${2:-}" ] || wrong_usage "$1 needs a value"; }
number() { # OPTION VALUE
    case $2 in '' | *[!0-9]* | ??????????*) wrong_usage "$1 needs a number, got \"$2\"" ;; esac
}
need() { # PROGRAM PACKAGE: Debian's package that has it
    command -v "$1" >/dev/null || fail "$1 is not installed (Debian and Ubuntu: apt-get install $2)"
}
need_root() { [ "$(id -u)" = 0 ] || fail "this needs root: run it with sudo"; }

# absolute PATH: without resolving symbolic links.
absolute() {
    case $1 in /*) printf '%s\n' "$1" ;; *) printf '%s\n' "$PWD/$1" ;; esac
}

# Ends with status 130 at a signal, so that the trap on EXIT cleans up.
clean_up_at_signals() { trap 'exit 130' INT TERM HUP; }

# find_program: sets `program` to the gateway's command: $SLUICE, that of this checkout, or an installed one. Sets `dir`,
# the working directory, to which the paths of a configuration are relative: --dir, else this checkout, else the current one.
find_program() {
    root=$(cd -P "$here/../.." && pwd)
    checkout=''
    [ ! -f "$root/proxy/__main__.py" ] || checkout=$root
    if [ -n "${SLUICE:-}" ]; then
        program=$(command -v "$SLUICE") || fail "SLUICE is $SLUICE, which is no program"
        program=$(absolute "$program")
    elif [ -n "$checkout" ] && [ -x "$checkout/.venv/bin/sluice" ]; then
        program=$checkout/.venv/bin/sluice
    elif program=$(command -v sluice); then
        program=$(absolute "$program")
    else
        program=''
    fi
    dir=$(cd -P "${dir:-${checkout:-.}}" 2>/dev/null && pwd) || fail "there is no folder $dir"
    if [ -n "$config" ]; then
        config=$(absolute "$config")
        [ -f "$config" ] || fail "there is no file $config"
        ROUTER_CONFIG_PATH=$config
        export ROUTER_CONFIG_PATH
    fi
}
need_program() {
    find_program
    [ -n "$program" ] || fail "the program sluice is not installed: run scripts/setup in a checkout, or set SLUICE to its path"
}

call_sluice() { (cd "$dir" && exec "$program" "$@"); }

# read_facts: what `sluice paths` says of the configuration. `fact NAME` prints one of its values.
read_facts() { facts=$(call_sluice paths) || fail "the configuration has the mistakes above"; }
fact() { printf '%s\n' "$facts" | sed -n "s/^$1=//p"; }

# is_gateway PID: whether this process is a gateway that was started in $dir. A process that ended and is not reaped is none.
is_gateway() {
    case $1 in '' | *[!0-9]*) return 1 ;; esac
    if [ -r /proc/self/cmdline ]; then
        [ -r "/proc/$1/cmdline" ] || return 1
        words=$(tr '\0' '\n' <"/proc/$1/cmdline" 2>/dev/null) || return 1
        # Only its owner and root can read it.
        at=$(readlink "/proc/$1/cwd" 2>/dev/null) || at=$dir
        [ "$at" = "$dir" ] || return 1
    else
        words=$(ps -p "$1" -o args= | tr ' ' '\n') || return 1
    fi
    printf '%s\n' "$words" | grep -qx serve || return 1
    printf '%s\n' "$words" | grep -Eq '(^|/)sluice$|^proxy$'
}

# running_pid FILE: the process of a pid file, if it is a gateway.
running_pid() {
    [ -f "$1" ] || return 1
    pid=$(sed -n 1p "$1")
    is_gateway "$pid" && printf '%s\n' "$pid"
}

# Backups.

sha256() { if command -v sha256sum >/dev/null; then sha256sum "$@"; else shasum -a 256 "$@"; fi; }

# pg COMMAND...: runs a program of PostgreSQL with the database in its environment, never on a command line.
pg() {
    if [ -n "$program" ]; then call_sluice db run "$@"; else "$@"; fi
}

decode() { # TEXT: with %XX replaced
    rest=$1
    decoded=''
    while
        case $rest in *%*) true ;; *) false ;; esac
    do
        decoded=$decoded${rest%%\%*}
        rest=${rest#*%}
        code=${rest%"${rest#??}"}
        rest=${rest#??}
        decoded=$decoded$(printf '%b' "\\0$(printf %o "0x$code")")
    done
    printf '%s' "$decoded$rest"
}

# libpq_variables URL: exports PGHOST, PGPASSWORD, ... as `sluice db run` does, where the program is not installed.
libpq_variables() {
    case $1 in
        postgres://* | postgresql://*) ;;
        *) fail "without the program sluice, DATABASE_URL must be a URL of PostgreSQL" ;;
    esac
    place=${1#*://}
    options=''
    case $place in *\?*) options=${place#*\?} place=${place%%\?*} ;; esac
    case $place in */*) export_variable PGDATABASE "${place#*/}" ;; esac
    place=${place%%/*}
    case $place in
        *@*)
            user=${place%@*}
            place=${place##*@}
            export_variable PGUSER "${user%%:*}"
            case $user in *:*) export_variable PGPASSWORD "${user#*:}" ;; esac
            ;;
    esac
    case $place in
        \[*\]*) export_variable PGHOST "$(expr "$place" : '\[\(.*\)\]')" && place=${place##*\]} ;;
        *) export_variable PGHOST "${place%%:*}" ;;
    esac
    case $place in *:*) export_variable PGPORT "${place##*:}" ;; esac
    while [ -n "$options" ]; do
        option=${options%%&*}
        case $options in *\&*) options=${options#*&} ;; *) options='' ;; esac
        case ${option%%=*} in
            host) export_variable PGHOST "${option#*=}" ;;
            port) export_variable PGPORT "${option#*=}" ;;
            user) export_variable PGUSER "${option#*=}" ;;
            password) export_variable PGPASSWORD "${option#*=}" ;;
            passfile) export_variable PGPASSFILE "${option#*=}" ;;
            options) export_variable PGOPTIONS "${option#*=}" ;;
            sslmode) export_variable PGSSLMODE "${option#*=}" ;;
            sslrootcert) export_variable PGSSLROOTCERT "${option#*=}" ;;
            sslcert) export_variable PGSSLCERT "${option#*=}" ;;
            sslkey) export_variable PGSSLKEY "${option#*=}" ;;
            channel_binding) export_variable PGCHANNELBINDING "${option#*=}" ;;
            connect_timeout) export_variable PGCONNECT_TIMEOUT "${option#*=}" ;;
            target_session_attrs) export_variable PGTARGETSESSIONATTRS "${option#*=}" ;;
            application_name | keepalives*) ;;
            *) fail "DATABASE_URL: the option ${option%%=*} is not known here" ;;
        esac
    done
}
export_variable() { # NAME ENCODED-VALUE
    value=$(decode "$2")
    [ -z "$value" ] || export "$1=$value"
}

# without_program: takes the database from DATABASE_URL or libpq's own variables, since there is no configuration to read.
without_program() {
    facts=''
    if [ -n "${DATABASE_URL:-}" ]; then
        libpq_variables "$DATABASE_URL"
    elif [ -z "${PGDATABASE:-}" ] && [ -z "${PGSERVICE:-}" ]; then
        fail "the program sluice is not installed, and neither DATABASE_URL nor PGDATABASE names a PostgreSQL database"
    fi
}

# unpack ARCHIVE FOLDER: extracts a backup and checks each file by its hash. Returns 1 after a sentence if it is damaged.
unpack() {
    names=$(tar -tzf "$1" 2>/dev/null) || {
        warn "$1 is damaged or is no backup: it cannot be read to its end"
        return 1
    }
    if printf '%s\n' "$names" | grep -Eq '^/|(^|/)\.\.(/|$)'; then
        warn "$1 is no backup: it has paths outside of its own folder"
        return 1
    fi
    tar -C "$2" -xpzf "$1" || return 1
    if [ ! -f "$2/manifest" ] || [ "$(sed -n 1p "$2/manifest")" != "sluice-backup 1" ]; then
        warn "$1 is no backup of backup.sh: it has no manifest"
        return 1
    fi
    if ! (cd "$2" && sha256 -c SHA256SUMS >/dev/null 2>&1); then
        warn "$1 is damaged: a file in it does not have the hash that SHA256SUMS says"
        return 1
    fi
    # What has no hash was added later.
    known=$(cd "$2" && find . -type f ! -path ./SHA256SUMS | wc -l)
    if [ "$known" -ne "$(wc -l <"$2/SHA256SUMS")" ]; then
        warn "$1 is damaged: it has files that SHA256SUMS does not name"
        return 1
    fi
}
manifest() { sed -n "s/^$2: //p" "$1/manifest"; } # FOLDER NAME
