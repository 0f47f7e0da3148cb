#!/bin/sh
# Writes one archive with the database, the configuration and the admin token.
set -eu
# shellcheck source=common.sh
. "$(dirname "$(readlink -f -- "$0")")/common.sh"

usage() {
    cat <<'TEXT'
backup.sh --to FOLDER [OPTIONS]: writes FOLDER/sluice-backup-TIME.tar.gz, also while gateways run.

  --to FOLDER      made if it is missing (or SLUICE_BACKUP_DIR)
  --keep N         afterwards remove all but the N newest backups of this name, of those that this script made
  --name NAME      instead of sluice, if several gateways use one folder
  --include PATH   a further file or folder; may be repeated
  --config FILE    the configuration (default: as `sluice serve` finds it)
  --dir FOLDER     the working directory, as for start.sh
  --quiet          print only what goes wrong
  --help

The archive has the database (SQLite by `sluice db backup`, PostgreSQL by pg_dump), the configuration, the models, .env,
the files that the configuration names (certificates, keys), and the generated admin token. IT CONTAINS SECRETS: the keys of the providers,
and the hashes of the clients' keys. Only its owner can read it. Each file has its SHA-256 in the archive, which is read again
before it gets its name.

Without the program sluice it backs up the PostgreSQL database of DATABASE_URL, or of PGHOST, PGUSER, PGPASSWORD and
PGDATABASE, and what --include names. Exit status: 0, 1 if there is no new backup, 2 for wrong usage.
TEXT
}

to=${SLUICE_BACKUP_DIR:-} keep=0 name=sluice included=''
while [ $# -gt 0 ]; do
    case $1 in
        --to) has_value "$@" && to=$2 && shift ;;
        --keep)
            has_value "$@" && number "$@" && keep=$2 && shift
            [ "$keep" -gt 0 ] || wrong_usage "--keep needs a number from 1"
            ;;
        --name)
            has_value "$@" && name=$2 && shift
            case $name in *[!A-Za-z0-9_.-]* | .* | -*) wrong_usage "--name may have letters, digits and _ . - only" ;; esac
            ;;
        --include)
            has_value "$@"
            [ -e "$2" ] || fail "there is no $2 to include"
            # One on a line.
            included="$included$(absolute "$2")
" && shift
            ;;
        --config) has_value "$@" && config=$2 && shift ;;
        --dir) has_value "$@" && dir=$2 && shift ;;
        --quiet) quiet=yes ;;
        --help) usage && exit ;;
        *) wrong_usage "unknown argument \"$1\"" ;;
    esac
    shift
done
[ -n "$to" ] || wrong_usage "--to is missing"
need tar tar
find_program
if [ -n "$program" ]; then read_facts; else without_program; fi
kind=postgresql
[ -z "$program" ] || kind=$(fact database)

umask 077
mkdir -p "$to" || fail "$to cannot be made"
to=$(cd "$to" && pwd)
# What a killed backup left.
find "$to" -maxdepth 1 -type d -name ".$name-backup.??????" -mmin +1440 -exec rm -r {} +
work=$(mktemp -d "$to/.$name-backup.XXXXXX") || fail "$to cannot be written to"
clean_up_at_signals
trap 'rm -rf "$work"' EXIT
mkdir "$work/content" "$work/check"
content=$work/content

case $kind in
    sqlite)
        at=$(fact database_at)
        if [ -f "$at" ]; then
            call_sluice db backup "$content/database.sqlite" >/dev/null || fail "the database is not backed up"
            say "copied the database $at"
        else
            kind=none
            say "there is no database at $at yet"
        fi
        ;;
    postgresql)
        need pg_dump postgresql-client
        pg pg_dump --format=custom --file="$content/database.dump" || fail "pg_dump failed; the lines above say why"
        pg_restore --list "$content/database.dump" >/dev/null || fail "pg_restore cannot read what pg_dump wrote"
        say "dumped the database ${program:+$(fact database_at)}"
        ;;
    none) say "the configuration has no database" ;;
esac

# Each at its own path below files/.
{
    [ -z "$program" ] || fact file
    printf %s "$included"
} >"$work/paths"
while IFS= read -r path; do
    mkdir -p "$content/files$(dirname "$path")"
    cp -RpL "$path" "$content/files$path" || fail "$path cannot be copied"
    say "copied $path"
done <"$work/paths"
token=''
[ -z "$program" ] || token=$(fact admin_token)
if [ -n "$token" ] && [ -f "$token" ]; then
    cp -p "$token" "$content/admin-token"
    say "copied $token, which is a secret"
fi

made=$(date -u +%Y%m%dT%H%M%SZ)
{
    echo "sluice-backup 1"
    echo "name: $name"
    echo "time: $made"
    echo "host: $(uname -n)"
    echo "program: ${program:+$(call_sluice --version)}"
    echo "database: $kind"
} >"$content/manifest"
(cd "$content" && find . -type f ! -path ./SHA256SUMS -exec sh -c '
    if command -v sha256sum >/dev/null; then sha256sum "$@"; else shasum -a 256 "$@"; fi' sh {} + >SHA256SUMS)
# The manifest first: rotation reads it.
set -- manifest SHA256SUMS
for member in database.sqlite database.dump files admin-token; do
    [ ! -e "$content/$member" ] || set -- "$@" "$member"
done
tar -C "$content" -czf "$work/archive" "$@"
unpack "$work/archive" "$work/check" || fail "the archive cannot be read again; there is no new backup"
# Unlike mv, ln replaces no file. Another backup of the same second gets the next one's name.
until archive=$to/$name-backup-$made.tar.gz && ln "$work/archive" "$archive" 2>/dev/null; do
    [ -e "$archive" ] || fail "$archive cannot be made"
    sleep 1
    made=$(date -u +%Y%m%dT%H%M%SZ)
done
say "wrote and verified $archive ($(wc -c <"$archive" | tr -d ' ') bytes); keep it as secret as the keys in it"

[ "$keep" -gt 0 ] || exit 0
find "$to" -maxdepth 1 -type f -name "$name-backup-????????T??????Z.tar.gz" | sort -r >"$work/found"
tail -n "+$((keep + 1))" "$work/found" | while IFS= read -r old; do
    # The end of `sed` may end tar first, which is no error here.
    first=$(tar -xzOf "$old" manifest 2>/dev/null | sed -n '1,2p') || first=''
    if [ "$first" = "sluice-backup 1
name: $name" ]; then
        rm "$old"
        say "removed $old: the $keep newest are kept"
    else
        warn "left $old alone: it is no backup that this script made"
    fi
done
