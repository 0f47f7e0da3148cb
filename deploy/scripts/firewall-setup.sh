#!/bin/sh
# Closes the gateway's ports to other machines.
set -eu
# shellcheck source=common.sh
. "$(dirname "$(readlink -f -- "$0")")/common.sh"

usage() {
    cat <<'TEXT'
firewall-setup.sh [OPTIONS]: closes the gateway's ports except for this machine. By nft, as root.

  --port PORT        a port to close; may be repeated (default: server.port and the port of admin.listen)
  --allow NETWORK    may still reach these ports, such as 10.0.0.0/8 or fd00::/8; may be repeated
  --deny-others      also close every other port, except 443, SSH, ICMP and DHCP
  --http             leave port 80 open, too, for certbot and redirects
  --ssh-port PORT    a port that --deny-others leaves open, besides that of this session and those of sshd (if none: 22)
  --dry-run          print the rules and change nothing; needs no root
  --undo             remove the rules and their file
  --file FILE        where the rules are kept (default: /etc/nftables.d/sluice.nft)
  --config FILE, --dir FOLDER   as for start.sh
  --help

The rules are one table, inet sluice, which is replaced as a whole. Without --deny-others it closes no port but the gateway's. Rules
of others stay, so what they close is closed. Ports that containers publish bypass these rules: publish them at
127.0.0.1. Exit status: 0, 1 if nothing is changed, 2 for wrong usage.
TEXT
}

check_port() { # OPTION VALUE
    number "$@"
    { [ "$2" -ge 1 ] && [ "$2" -le 65535 ]; } || wrong_usage "$1 needs a port from 1 to 65535, got $2"
}

ports='' networks='' http='' deny='' ssh='' dry_run='' undo='' file=/etc/nftables.d/sluice.nft
while [ $# -gt 0 ]; do
    case $1 in
        --port) has_value "$@" && check_port "$1" "$2" && ports="$ports $2" && shift ;;
        --allow)
            has_value "$@"
            case $2 in *[!0-9A-Fa-f.:/]*) wrong_usage "--allow needs an address or a network, got \"$2\"" ;; esac
            networks="$networks $2" && shift
            ;;
        --http) http=yes ;;
        --deny-others) deny=yes ;;
        --ssh-port) has_value "$@" && check_port "$1" "$2" && ssh="$ssh $2" && shift ;;
        --dry-run) dry_run=yes ;;
        --undo) undo=yes ;;
        --file) has_value "$@" && file=$(absolute "$2") && shift ;;
        --config) has_value "$@" && config=$2 && shift ;;
        --dir) has_value "$@" && dir=$2 && shift ;;
        --help) usage && exit ;;
        *) wrong_usage "unknown argument \"$1\"" ;;
    esac
    shift
done
header='# Written by firewall-setup.sh of Sluice, which replaces this file.'
if [ -f "$file" ] && [ "$(sed -n 1p "$file")" != "$header" ]; then
    fail "$file is no file of this script; name another one: --file"
fi
if [ -z "$dry_run" ]; then
    need_root
    need nft nftables
fi

if [ -n "$undo" ]; then
    if [ -n "$dry_run" ]; then
        echo "delete table inet sluice"
        exit 0
    fi
    if nft list table inet sluice >/dev/null 2>&1; then
        nft delete table inet sluice
        say "removed the table inet sluice"
    else
        say "there is no table inet sluice"
    fi
    if [ -f "$file" ]; then rm "$file" && say "removed $file"; fi
    exit 0
fi

if [ -z "$ports" ]; then
    find_program
    [ -n "$program" ] || fail "the program sluice is not installed, so name the gateway's port: --port"
    read_facts
    for port in $(fact port) $(fact admin_port); do [ "$port" = 0 ] || ports="$ports $port"; done
    [ -n "$ports" ] || fail "the gateway has no fixed port (a unix socket, or port 0), so there is nothing to close; --port names one"
fi

# Ports where SSH may be in use: no session must be locked out. sudo removes SSH_CONNECTION, so sshd is asked, too.
session=${SSH_CONNECTION:-}
ssh="$ssh ${session##* } $({ sshd -T || /usr/sbin/sshd -T; } 2>/dev/null | sed -n 's/^port //p' | tr '\n' ' ')"
case $ssh in *[0-9]*) ;; *) ssh=22 ;; esac
for port in $ports; do
    for open in $ssh; do
        [ "$port" != "$open" ] || fail "SSH uses port $port, so it is not closed; name the gateway's port: --port"
    done
    for open in 443 ${http:+80}; do
        [ "$port" != "$open" ] || fail "the gateway itself listens on $port, which is to be open; name the port to close: --port"
    done
done

numbers() { # WORD...: separated by commas, each once
    printf '%s\n' "$@" | sort -nu | paste -sd , - | sed 's/,/, /g'
}

# shellcheck disable=SC2086  # lists of words
rules() {
    closed=$(numbers $ports)
    echo "$header"
    # The first two lines remove a table that is there already.
    echo "table inet sluice"
    echo "delete table inet sluice"
    echo "table inet sluice {"
    echo "    chain input {"
    echo "        type filter hook input priority -10; policy accept;"
    echo '        iif "lo" accept'
    echo "        ct state established,related accept"
    for network in $networks; do
        case $network in *:*) family=ip6 ;; *) family=ip ;; esac
        echo "        $family saddr $network tcp dport { $closed } accept"
    done
    echo "        tcp dport { $closed } reject with tcp reset"
    if [ -n "$deny" ]; then
        echo "        tcp dport { $(numbers $ssh) } accept comment \"SSH\""
        echo "        tcp dport { 443${http:+, 80} } accept"
        echo "        meta l4proto { icmp, ipv6-icmp } accept"
        echo "        udp dport { 68, 546 } accept comment \"DHCP\""
        echo "        reject with icmpx admin-prohibited"
    fi
    echo "    }"
    echo "}"
}

if [ -n "$dry_run" ]; then
    rules
    exit 0
fi

umask 022
mkdir -p "$(dirname "$file")"
clean_up_at_signals
trap 'rm -f "$file.part"' EXIT
rules >"$file.part"
nft --check --file "$file.part" || fail "nft does not accept the rules; nothing is changed"
nft --file "$file.part"
mv "$file.part" "$file"
# shellcheck disable=SC2086
say "closed port $(numbers $ports) except for this machine${networks:+ and$networks}"
# shellcheck disable=SC2086
[ -z "$deny" ] || say "closed every other port except 443${http:+, 80} and SSH ($(numbers $ssh)), ICMP and DHCP"
say "wrote $file"
if ! grep -Eqs "^[^#]*include.*$(dirname "$file")/" /etc/nftables.conf; then
    say "to load it at boot, enable nftables.service and add to /etc/nftables.conf: include \"$(dirname "$file")/*.nft\""
fi
# A packet must pass the chains of all tables: ours cannot open what another one drops.
others=$(nft list chains | grep -c 'hook input .*policy drop' || true)
[ "$others" = 0 ] || say "another table drops what it does not allow, so open 443${http:+ and 80} there, too: nft list ruleset"
