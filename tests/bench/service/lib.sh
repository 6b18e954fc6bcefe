# shellcheck shell=sh
# shellcheck disable=SC2154,SC2034 # root, here and model are the caller's
# What the measurements of the whole service share: Convoy and the peer, both
# on free ports of the loopback address, ended with the script.
#
#     root=... here=...; . "$root/tests/bench/service/lib.sh"
#     service_open                 sets url
#     peer_open                    sets peer
#     rate_of RESULT-LINE          requests a second

work=$(mktemp -d)
peer_pid=
service_close() {
    [ -z "$peer_pid" ] || kill "$peer_pid" 2>/dev/null || :
    "$root/deploy/down" --run "$work/run" >/dev/null 2>&1 || :
    rm -rf "$work"
}
trap service_close EXIT
trap 'exit 1' INT TERM HUP

service_open() {
    "$root/deploy/up" --detach --port 0 --run "$work/run" \
        ${MODELS:+--models "$MODELS"} >"$work/up.log" 2>&1 ||
        die "Convoy did not start: $(cat "$work/up.log")"
    url=$(cat "$work/run/url")
}

peer_open() {
    peer=http://127.0.0.1:$(port_free)
    (cd "$here" && MODEL=$model exec gunicorn --workers 2 \
        --bind "${peer#http://}" peer:application) >"$work/peer.log" 2>&1 &
    peer_pid=$!
    tries=600
    until curl -s -o /dev/null "$peer/ping"; do
        tries=$((tries - 1))
        if [ "$tries" -le 0 ] || ! kill -0 "$peer_pid" 2>/dev/null; then
            die "the peer did not start: $(tail -n 5 "$work/peer.log")"
        fi
        sleep 0.1
    done
}

# load SCRIPT URL CONNECTIONS SECONDS: prints wrk's RESULT line.
load() {
    sleep 1 # what the last load left behind is over
    wrk -t 1 -c "$3" -d "$4s" --timeout 30s -s "$here/$1" "$2" \
        >"$work/wrk.log" 2>&1 || die "wrk failed: $(cat "$work/wrk.log")"
    grep '^RESULT' "$work/wrk.log" ||
        die "wrk said nothing: $(cat "$work/wrk.log")"
}

# Finished answers a second; a run with broken connections is said so.
rate_of() {
    # shellcheck disable=SC2086 # fields
    set -- $1
    [ "$(($4 + $5))" -eq 0 ] ||
        say "  ($4 answers unfinished, $5 connections broken)" >&2
    awk -v n="$(($2 - $4))" -v us="$3" 'BEGIN { printf "%.1f", n / us * 1e6 }'
}

median() { tr ' ' '\n' | grep . | sort -n | awk '{ x[NR] = $1 }
    END { print x[int((NR + 1) / 2)] }'; }
