#!/bin/sh
# Makes, installs and checks the certificate of a gateway, or of the proxy in front of it.
set -eu
# shellcheck source=common.sh
. "$(dirname "$(readlink -f -- "$0")")/common.sh"

usage() {
    cat <<'TEXT'
ssl-setup.sh COMMAND [OPTIONS]: keeps a certificate as FOLDER/fullchain.pem, and its key as FOLDER/privkey.pem.

  self-signed NAME...          a new certificate for tests, which no client trusts by itself
  request NAME...              request.key, and request.csr for a certificate authority
  install CERTIFICATE KEY      places an authority's certificate (with the intermediate ones) and its key
  acme NAME... [-- OPTIONS]    a certificate of Let's Encrypt by certbot, which also renews it. OPTIONS are certbot's
  check [NAME...]              checks the certificate, its key, the key's mode, and that the certificate is for NAME

  --out FOLDER       default: certs beside the folder of this script, where compose.prod.yaml has it
  --days N           of a self-signed certificate (default: 90)
  --reload COMMAND   run by sh once the files are in place, such as 'systemctl reload sluice'; also at renewals of acme
  --webroot FOLDER   for acme: a web server serves this folder at port 80. Without it certbot itself listens there
  --owner USER       of both files (as root): the user who runs the gateway
  --force            replace files that this script did not place, and keep them as NAME.before-TIME
  --help

A NAME is a DNS name or an IP address. Keys are ECDSA P-256, with mode 600. A running gateway reads new files at SIGHUP.
Exit status: 0, 1 if there is no valid certificate or the reload failed, 2 for wrong usage.
TEXT
}

kind='' out=$here/../certs days=90 reload='' owner='' force='' names='' certificate='' key='' webroot=''

add_name() {
    case $1 in *[!A-Za-z0-9.:*-]* | .* | ?*'*'*) wrong_usage "\"$1\" is no DNS name and no IP address" ;; esac
    names="$names $1"
}
add_file() {
    [ -z "$key" ] || wrong_usage "install takes one certificate and one key"
    if [ -z "$certificate" ]; then certificate=$1; else key=$1; fi
}
while [ $# -gt 0 ]; do
    case $1 in
        --out) has_value "$@" && out=$2 && shift ;;
        --days)
            has_value "$@" && number "$@" && days=$2 && shift
            [ "$days" -gt 0 ] || wrong_usage "--days needs a number from 1"
            ;;
        --reload) has_value "$@" && reload=$2 && shift ;;
        --webroot) has_value "$@" && webroot=$(absolute "$2") && shift ;;
        --owner) has_value "$@" && owner=$2 && shift ;;
        --force) force=yes ;;
        --help) usage && exit ;;
        --) break ;;
        -*) wrong_usage "unknown option \"$1\"" ;;
        *) case $kind in '') kind=$1 ;; install) add_file "$1" ;; *) add_name "$1" ;; esac ;;
    esac
    shift
done
case $kind in
    self-signed | request | acme) [ -n "$names" ] || wrong_usage "$kind needs a name" ;;
    install) [ -n "$key" ] || wrong_usage "install needs a certificate and a key" ;;
    check) ;;
    '') wrong_usage "expected self-signed, request, install, acme or check" ;;
    *) wrong_usage "no such command: $kind" ;;
esac
if [ $# -gt 0 ]; then
    [ "$kind" = acme ] || wrong_usage "only acme takes options after --"
    shift
fi
need openssl openssl
if [ -n "$owner" ]; then
    need_root
    id "$owner" >/dev/null 2>&1 || fail "there is no user $owner"
fi
set -f # a name may have an asterisk
umask 077

# examine CERTIFICATE KEY: fails unless both can be used now, and belong together.
examine() {
    for each in "$1" "$2"; do [ -f "$each" ] || fail "there is no $each"; done
    openssl x509 -in "$1" -noout 2>/dev/null || fail "$1 is no certificate in PEM format"
    openssl pkey -in "$2" -passin pass: -noout 2>/dev/null || fail "$2 is no private key in PEM format without a password"
    [ "$(openssl x509 -in "$1" -noout -pubkey)" = "$(openssl pkey -in "$2" -pubout)" ] || fail "$2 is not the key of $1"
    ends=$(openssl x509 -in "$1" -noout -enddate)
    openssl x509 -in "$1" -noout -checkend 0 >/dev/null || fail "$1 expired at ${ends#*=}"
}
self_signed() { [ "$(openssl x509 -in "$1" -noout -subject_hash)" = "$(openssl x509 -in "$1" -noout -issuer_hash)" ]; }

# Hashes of the files that this script placed last. Others are not replaced without --force.
record=.ssl-setup.sha256
placed_here() { [ -f "$out/$record" ] && (cd "$out" && sha256 -c "$record" >/dev/null 2>&1); }

# prepare_folder: makes it, and fails if what is there must not be replaced.
prepare_folder() {
    [ -d "$out" ] || { mkdir -p "$out" && chmod 755 "$out"; } || fail "$out cannot be made"
    out=$(cd "$out" && pwd)
    keep=''
    [ -e "$out/fullchain.pem" ] || [ -e "$out/privkey.pem" ] || return 0
    if placed_here; then
        # A renewal. But a certificate that clients trust is not lost to a self-signed one.
        [ "$kind" = self-signed ] || return 0
        ! self_signed "$out/fullchain.pem" || return 0
        [ -n "$force" ] || fail "$out/fullchain.pem is of an authority; --force replaces it with a self-signed one"
    fi
    [ -n "$force" ] || fail "$out has files that this script did not place; --force keeps them as NAME.before-TIME"
    keep=yes
}

new_work_folder() {
    work=$(mktemp -d "$out/.ssl-setup.XXXXXX") || fail "$out cannot be written to"
    clean_up_at_signals
    trap 'rm -rf "$work"' EXIT
}

# place CERTIFICATE KEY: puts both into the folder, and runs --reload.
place() {
    examine "$1" "$2"
    if cmp -s "$1" "$out/fullchain.pem" && cmp -s "$2" "$out/privkey.pem" && placed_here; then
        say "$out/fullchain.pem is this certificate already"
    else
        replace "$1" "$2"
    fi
    if [ -n "$reload" ]; then
        sh -c "$reload" || fail "the files are in place, but --reload ended with status $?: $reload"
        say "reloaded: $reload"
    else
        say "a running gateway or nginx reads them at SIGHUP; --reload COMMAND does it from here"
    fi
}

replace() { # CERTIFICATE KEY
    cp -L "$1" "$work/fullchain.pem"
    cp -L "$2" "$work/privkey.pem"
    chmod 644 "$work/fullchain.pem"
    chmod 600 "$work/privkey.pem"
    if [ -n "$owner" ]; then chown "$owner" "$work/fullchain.pem" "$work/privkey.pem"; fi
    (cd "$work" && sha256 fullchain.pem privkey.pem >"$record")
    trap '' INT TERM HUP # not between two of the files
    stamp=$(date -u +%Y%m%dT%H%M%SZ)
    for file in privkey.pem fullchain.pem "$record"; do
        if [ -n "$keep" ] && [ -e "$out/$file" ] && [ "$file" != "$record" ]; then
            mv "$out/$file" "$out/$file.before-$stamp"
            say "kept the previous $file as $file.before-$stamp"
        fi
        mv -f "$work/$file" "$out/$file"
    done
    clean_up_at_signals
    say "wrote $out/fullchain.pem (valid until ${ends#*=}) and $out/privkey.pem (mode 600)"
}

# new_key_and OPTION OUTPUT: by openssl req, with its own configuration: that of the machine would add extensions.
new_key_and() {
    alternatives='' subject=''
    for name in $names; do
        case $name in
            *:*) entry=IP:$name ;;
            *[!0-9.]*) entry=DNS:$name ;;
            *) entry=IP:$name ;;
        esac
        alternatives="$alternatives${alternatives:+,}$entry"
        subject=${subject:-$name}
    done
    [ ${#subject} -le 64 ] || subject=sluice # the longest that a subject may have
    printf '[req]\ndistinguished_name=name\nprompt=no\n[name]\nCN=%s\n' "$subject" >"$work/config"
    openssl req -new "$1" -config "$work/config" -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/key" \
        -days "$days" -out "$2" -addext "subjectAltName=$alternatives" -addext basicConstraints=critical,CA:FALSE \
        -addext keyUsage=critical,digitalSignature -addext extendedKeyUsage=serverAuth -addext subjectKeyIdentifier=hash \
        2>"$work/errors" || fail "openssl refused the names$names: $(sed -n '/rror/{p;q;}' "$work/errors")"
}

# quoted WORD: for sh.
quoted() { printf "'%s'" "$(printf %s "$1" | sed "s/'/'\\\\''/g")"; }

case $kind in
    self-signed)
        prepare_folder
        new_work_folder
        new_key_and -x509 "$work/certificate"
        place "$work/certificate" "$work/key"
        ;;
    request)
        [ -d "$out" ] || { mkdir -p "$out" && chmod 755 "$out"; } || fail "$out cannot be made"
        out=$(cd "$out" && pwd)
        for file in request.key request.csr; do
            [ ! -e "$out/$file" ] || [ -n "$force" ] || fail "$out/$file exists already; --force replaces it"
        done
        new_work_folder
        new_key_and -verbose "$work/request"
        mv "$work/key" "$out/request.key"
        mv "$work/request" "$out/request.csr"
        say "wrote $out/request.key and $out/request.csr; send request.csr to the certificate authority"
        say "then run: $script install --out $(quoted "$out") CERTIFICATE $(quoted "$out/request.key")"
        ;;
    install)
        prepare_folder
        new_work_folder
        place "$certificate" "$key"
        ;;
    acme)
        need certbot certbot
        prepare_folder
        new_work_folder
        if [ -n "$webroot" ]; then
            # Its web server runs as another user.
            (umask 022 && mkdir -p "$webroot") || fail "$webroot cannot be made"
            set -- --webroot --webroot-path "$webroot" "$@"
        else
            method=--standalone
            for option in "$@"; do
                case $option in -a | --authenticator* | --nginx | --apache | --manual | --dns-*) method='' ;; esac
            done
            set -- $method "$@"
        fi
        # certbot wants the first word to be a program of the PATH, and does not know quotes.
        hook="sh $(quoted "$here/$script") install --out $(quoted "$out")${owner:+ --owner $(quoted "$owner")}${force:+ --force}"
        hook="$hook${reload:+ --reload $(quoted "$reload")} \"\$RENEWED_LINEAGE/fullchain.pem\" \"\$RENEWED_LINEAGE/privkey.pem\""
        first=${names# }
        first=${first%% *}
        domains=''
        for name in $names; do domains="$domains${domains:+,}$name"; done
        # An email address may be among the options.
        certbot certonly --non-interactive --agree-tos --register-unsafely-without-email --key-type ecdsa \
            --cert-name "${first#\*.}" --domains "$domains" --deploy-hook "$hook" "$@" \
            || fail "certbot has no certificate; the lines above say why"
        # certbot may have kept a certificate that it has already, and then runs no hook.
        shown=$(certbot certificates --cert-name "${first#\*.}" "$@" 2>/dev/null) || fail "certbot does not show its certificate"
        place "$(printf '%s\n' "$shown" | sed -n 's/^ *Certificate Path: //p')" \
            "$(printf '%s\n' "$shown" | sed -n 's/^ *Private Key Path: //p')"
        say "certbot renew, which Debian's certbot.timer runs twice a day, places renewed files here${reload:+ and runs: $reload}"
        ;;
    check)
        [ -d "$out" ] || fail "there is no folder $out"
        out=$(cd "$out" && pwd)
        examine "$out/fullchain.pem" "$out/privkey.pem"
        for name in $names; do
            case $name in *:* | *[!0-9.]*) by=-checkhost ;; *) by=-checkip ;; esac
            case $name in *:*) by=-checkip ;; esac
            openssl x509 -in "$out/fullchain.pem" -noout $by "$name" | grep -q 'does match' || fail "$out/fullchain.pem is not for $name"
        done
        [ -z "$(find "$out/privkey.pem" -perm /077)" ] || fail "other users can use $out/privkey.pem: chmod 600 $(quoted "$out/privkey.pem")"
        say "$out/fullchain.pem belongs to its key and is valid until ${ends#*=}"
        say "its names: $(openssl x509 -in "$out/fullchain.pem" -noout -ext subjectAltName 2>/dev/null | sed -n '2s/^ *//p')"
        ;;
esac
