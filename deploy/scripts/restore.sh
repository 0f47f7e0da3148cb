#!/bin/sh
# Restores an archive of backup.sh.
set -eu
# shellcheck source=common.sh
. "$(dirname "$(readlink -f -- "$0")")/common.sh"

usage() {
    cat <<'TEXT'
restore.sh ARCHIVE [OPTIONS]: restores the database and the generated admin token of a backup. Stop the gateways first.

  --check          verify the archive and show what would be replaced; change nothing
  --force          also replace a database that has keys, and files; what was there is kept as NAME.before-restore-TIME
  --with-config    also put the configuration and its files back to the paths that they had
  --extract FOLDER only unpack the verified archive into this new folder, to take single files from it
  --config FILE    the configuration, which says where the database is (default: as `sluice serve` finds it)
  --dir FOLDER     the working directory, as for start.sh
  --pid-file FILE  as for start.sh
  --help

It refuses a damaged archive, a running gateway, and without --force a database that has keys. A SQLite file is replaced as a whole, a
PostgreSQL database in one transaction: after a failure the old content is there. In the end the tables are brought up to date
(`sluice db upgrade`). The keys that a PostgreSQL database had are saved by pg_dump first.

Without the program sluice it restores the PostgreSQL database of DATABASE_URL, or of PGHOST, PGUSER, PGPASSWORD and
PGDATABASE; the next start of a gateway brings its tables up to date. Exit status: 0, 1 if something is not restored, 2 for
wrong usage.
TEXT
}

archive='' check='' force='' with_config='' extract='' pid_file=''
while [ $# -gt 0 ]; do
    case $1 in
        --check) check=yes ;;
        --force) force=yes ;;
        --with-config) with_config=yes ;;
        --extract) has_value "$@" && extract=$2 && shift ;;
        --config) has_value "$@" && config=$2 && shift ;;
        --dir) has_value "$@" && dir=$2 && shift ;;
        --pid-file) has_value "$@" && pid_file=$(absolute "$2") && shift ;;
        --help) usage && exit ;;
        -*) wrong_usage "unknown option \"$1\"" ;;
        *)
            [ -z "$archive" ] || wrong_usage "only one archive can be restored"
            archive=$(absolute "$1")
            ;;
    esac
    shift
done
[ -n "$archive" ] || wrong_usage "the archive is missing"
[ -f "$archive" ] || fail "there is no file $archive"
need tar tar

umask 077
if [ -n "$extract" ]; then
    [ ! -e "$extract" ] || fail "$extract exists already; name a new folder"
    mkdir -p "$extract"
    unpack "$archive" "$extract" || {
        rm -rf "$extract"
        exit 1
    }
    say "verified $archive and unpacked it into $extract"
    exit 0
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/sluice-restore.XXXXXX")
clean_up_at_signals
trap 'rm -rf "$work"' EXIT
mkdir "$work/content"
content=$work/content
unpack "$archive" "$content" || exit 1
kind=$(manifest "$content" database)
say "verified $archive, made at $(manifest "$content" time) on $(manifest "$content" host)"

stamp=$(date -u +%Y%m%dT%H%M%SZ)
find_program

# put SOURCE TARGET: replaces a file at once. What was there is kept.
put() {
    if [ -f "$2" ]; then ln "$2" "$2.before-restore-$stamp"; fi
    mkdir -p "$(dirname "$2")"
    cp -p "$1" "$2.part-$$"
    mv "$2.part-$$" "$2"
    say "restored $2"
}
# may_put SOURCE TARGET: shows what would be replaced. Fails if that needs --force.
may_put() {
    if [ -e "$2" ] && ! cmp -s "$1" "$2"; then
        say "replaces $2"
        [ -n "$force$check" ] || fail "$2 exists and differs; --force replaces it and keeps the present one"
    fi
}
not_running() {
    if running=$(running_pid "${pid_file:-$(fact data)/sluice.pid}"); then
        fail "the gateway runs (process $running); stop it first: $here/stop.sh"
    fi
    if call_sluice health 2>/dev/null; then
        fail "a gateway answers at $(fact address); stop it first"
    fi
}

if [ -n "$with_config" ]; then
    [ -n "$program" ] || fail "--with-config needs the program sluice; --extract unpacks the files"
    [ -d "$content/files" ] || fail "the archive has no configuration"
    # The present configuration may be missing or broken. If it is not, its gateway must not run.
    ! facts=$(call_sluice paths 2>/dev/null) || not_running
    (cd "$content/files" && find . -type f) | sed 's/^\.//' >"$work/paths"
    while IFS= read -r path; do may_put "$content/files$path" "$path"; done <"$work/paths"
    if [ -z "$check" ]; then
        while IFS= read -r path; do
            cmp -s "$content/files$path" "$path" || put "$content/files$path" "$path"
        done <"$work/paths"
    fi
fi

if [ -n "$program" ]; then
    read_facts
    wanted=$(fact database)
    not_running
else
    without_program
    wanted=postgresql
fi
[ "$kind" = none ] || [ "$kind" = "$wanted" ] ||
    fail "the backup has a $kind database, but the configuration names a $wanted database; change database.url"

query() { pg psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 --command="$1"; }
case $kind in
    sqlite)
        at=$(fact database_at)
        if [ -s "$at" ]; then
            say "replaces the database $at"
        fi
        ;;
    postgresql)
        need psql postgresql-client
        need pg_restore postgresql-client
        users=$(query "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'sluice'") ||
            fail "the database cannot be reached; the line above says why"
        [ "$users" = 0 ] || fail "gateways are connected to the database ($users connections); stop them first"
        keys=0
        if [ "$(query "SELECT to_regclass('api_keys') IS NOT NULL")" = t ]; then
            keys=$(query 'SELECT count(*) FROM api_keys')
            say "replaces the tables of Sluice in the database, which have $keys keys"
            # Tables of a newer revision would stay, and then its migration could not make them.
            present=$(query 'SELECT version_num FROM sluice_revision') || present=''
            saved=$(pg_restore --data-only --table=sluice_revision --file=- "$content/database.dump" |
                sed -n '/^COPY /{n;p;}')
            [ "$present" = "$saved" ] || fail "the database has revision $present, the backup has $saved; " \
                "restore it into a new database (createdb), and set database.url to that"
        fi
        [ "$keys" = 0 ] || [ -n "$force$check" ] || fail "the database is not empty; --force replaces its tables"
        ;;
esac
token=''
if [ -n "$program" ] && [ -f "$content/admin-token" ]; then
    token=$(fact admin_token)
    if [ -n "$token" ]; then may_put "$content/admin-token" "$token"; fi
fi
if [ -n "$check" ]; then
    say "changed nothing; without --check this is what would be done"
    exit 0
fi

case $kind in
    sqlite) call_sluice db restore ${force:+--force} "$content/database.sqlite" || fail "the database is not restored" ;;
    postgresql)
        if [ "$keys" != 0 ]; then
            before=$dir/sluice-before-restore-$stamp.dump
            pg pg_dump --format=custom --file="$before" || fail "the present database cannot be saved; nothing is changed"
            say "saved the present database in $before"
        fi
        pg pg_restore --dbname='' --clean --if-exists --no-owner --exit-on-error --single-transaction \
            "$content/database.dump" || fail "pg_restore failed; the database is as it was"
        say "restored the database"
        ;;
esac
if [ -n "$token" ] && ! cmp -s "$content/admin-token" "$token"; then put "$content/admin-token" "$token"; fi
if [ "$kind" != none ] && [ -n "$program" ]; then
    call_sluice db upgrade || fail "the database is restored, but its tables cannot be brought up to date; the line above says why"
fi
say "done; start the gateway"
