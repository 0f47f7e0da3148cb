#!/bin/sh
# backup-daily.sh [--once]: dumps the database that PGHOST, PGUSER, PGPASSWORD and PGDATABASE name into the folder
# BACKUP_DIR, now and then every 24 hours. It keeps the latest BACKUP_KEEP dumps. After a failure it tries again in an
# hour. With --once it ends after one dump, with status 1 if that failed.
set -eu
folder=${BACKUP_DIR:?backup-daily.sh: BACKUP_DIR is missing}
keep=${BACKUP_KEEP:-14}
say() { echo "backup-daily.sh: $*" >&2; }
case $keep in '' | *[!0-9]* | 0) say "BACKUP_KEEP must be a number from 1, but is \"$keep\""; exit 2 ;; esac
umask 077

# A dump gets its name when it is complete, and pg_restore can read it.
backup() {
    file=$folder/sluice-$(date -u +%Y%m%dT%H%M%SZ).dump
    if pg_dump --format=custom --file="$file.part" && pg_restore --list "$file.part" >/dev/null; then
        mv "$file.part" "$file"
        say "$file has $(wc -c <"$file") bytes"
    else
        rm -f "$file.part"
        say "no backup of ${PGDATABASE:-the database} at ${PGHOST:-the default host}: see the line above"
        return 1
    fi
    # The names sort by time.
    find "$folder" -maxdepth 1 -name 'sluice-*.dump' | sort | head -n "-$keep" | while IFS= read -r old; do
        rm "$old"
        say "removed $old: $keep later ones are kept"
    done
}

if [ "${1:-}" = --once ]; then
    backup
    exit
fi
# The first process of a container gets no default action for signals.
trap 'exit 0' INT TERM
while :; do
    if backup; then pause=86400; else pause=3600; fi
    sleep "$pause" &
    wait $!
done
