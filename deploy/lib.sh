# shellcheck shell=sh
# shellcheck disable=SC2154 # root is set by who sources this
# What up, down, check and their helpers share. Sourced, never run:
#
#     root=$(cd "$(dirname "$0")/.." && pwd -P)
#     . "$root/deploy/lib.sh"

PATH=$PATH:/usr/sbin:/sbin # where Debian keeps nginx

say() { printf '%s\n' "$*"; }
die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# ---- help ----------------------------------------------------------------

# help_asked WORD...: is one of them -h or --help?
help_asked() {
    for word; do
        case $word in -h | --help) return 0 ;; esac
    done
    return 1
}

# help_print SCRIPT: the comment at its beginning.
help_print() { sed -n '2,/^[^#]/{/^#/!d; s/^# \{0,1\}//; p}' "$1"; }

# ---- packages ------------------------------------------------------------

# packages_missing GROUP...: the packages of those groups that are not here.
packages_missing() {
    wanted=$(for group; do
        while read -r in package command; do
            [ "$in" = "$group" ] || continue
            [ -z "$command" ] || ! command -v "$command" >/dev/null ||
                continue
            printf '%s\n' "$package"
        done <"$root/deploy/packages"
    done)
    # shellcheck disable=SC2086 # one word a package
    dpkg-query -W -f '${db:Status-Status} ${Package}\n' $wanted 2>/dev/null |
        awk -v wanted="$wanted" '
            $1 == "installed" { have[$2] = 1 }
            END {
                n = split(wanted, names, "\n")
                for (i = 1; i <= n; i++)
                    if (!(names[i] in have)) print names[i]
            }'
}

# packages_install GROUP...: installs what is missing, as root or through sudo.
# SYSTEMD_OFFLINE keeps a package that brings a service (nginx) from starting
# it: systemctl then ignores what the package's script asks. Without systemd,
# invoke-rc.d would start it; RUNLEVEL=1 is where nothing is to be started.
packages_install() {
    command -v dpkg-query >/dev/null ||
        die "this is no Debian: install what deploy/packages names by hand"
    missing=$(packages_missing "$@" | tr '\n' ' ')
    [ -n "$missing" ] || return 0
    as_root=
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null ||
            die "needs root (or sudo) to install: $missing"
        as_root=sudo
    fi
    say "Installing: $missing"
    $as_root apt-get -q update ||
        say "The package lists could not be updated; trying those at hand."
    # shellcheck disable=SC2086 # one word a package
    $as_root env DEBIAN_FRONTEND=noninteractive SYSTEMD_OFFLINE=1 RUNLEVEL=1 \
        apt-get -q -y -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 \
        install --no-install-recommends $missing ||
        die "apt-get could not install: $missing"
    case " $missing" in
    *" nginx "*)
        [ ! -d /run/systemd/system ] ||
            say "The nginx package's own service was not started. It would" \
                "start with the next boot; 'systemctl disable nginx' says no."
        ;;
    esac
}

# ---- processes -----------------------------------------------------------

# process_identity PID: sets `identity` to "PID START BOOT", which no other
# process ever has; status 1 where there is no such process (a zombie is none).
# Nothing is forked: supervise asks every second.
process_identity() {
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
    read -r boot </proc/sys/kernel/random/boot_id
    # The name in there may hold anything: count behind its last bracket.
    # shellcheck disable=SC2086 # split into fields
    set -- "$1" ${stat##*) }
    case $2 in Z | X) return 1 ;; esac
    identity="$1 ${21} $boot"
}

# process_lives IDENTITY: does that very process still live?
process_lives() {
    process_identity "${1%% *}" && [ "$identity" = "$1" ]
}

# process_recorded FILE: sets `pid` to the process that FILE records, where
# that very one still lives; status 1 otherwise.
process_recorded() {
    [ -r "$1" ] && read -r recorded <"$1" && process_lives "$recorded" ||
        return 1
    pid=${recorded%% *}
}

# group_lives GROUP: does any process of that group still live?
group_lives() {
    cat /proc/[0-9]*/stat 2>/dev/null | sed 's/.*) //' |
        awk -v group="$1" '
            $1 !~ /[ZX]/ && $3 == group { lives = 1 }
            END { exit !lives }'
}

# process_end FILE SECONDS: ends the process recorded in FILE, by force where it
# takes longer, and what is left of its group; removes the file.
process_end() {
    if process_recorded "$1"; then
        ended=$recorded group=$pid
        kill -s TERM "$group" 2>/dev/null || :
        tenths=$(($2 * 10))
        while process_lives "$ended" && [ "$tenths" -gt 0 ]; do
            sleep 0.1
            tenths=$((tenths - 1))
        done
        ! process_lives "$ended" ||
            say "${1##*/} did not stop within $2 s; it is killed."
        kill -s KILL -- "-$group" 2>/dev/null || :
        tenths=20 # to go takes the kernel a moment
        while group_lives "$group" && [ "$tenths" -gt 0 ]; do
            sleep 0.1
            tenths=$((tenths - 1))
        done
    fi
    rm -f "$1"
}

# ---- logs ----------------------------------------------------------------

# logs_trim FOLDER: a log above 16 MB becomes FILE.log.1, and begins anew: its
# writers, who append, keep it open.
logs_trim() {
    for log in "$1"/*.log; do
        [ "$(stat -c %s "$log" 2>/dev/null || echo 0)" -lt 16777216 ] || {
            cp "$log" "$log.1"
            : >"$log"
        }
    done
}

# ---- who may do what is administrative ----------------------------------

# wall_write RUN: for nginx (see nginx/convoy.conf): whoever has a login of
# RUN/nginx/admin.passwd, or, where there is no such file, this machine alone.
wall_write() {
    if [ -s "$1/nginx/admin.passwd" ]; then
        login=1
        wall='auth_basic "Convoy";
auth_basic_user_file admin.passwd;'
    else
        login=0
        wall='allow 127.0.0.0/8;
allow ::1;
allow unix:;
deny all;'
    fi
    # shellcheck disable=SC2016 # a variable of nginx
    printf 'map $host $convoy_login {\n    default %s;\n}\n' "$login" \
        >"$1/nginx/login.conf"
    printf '%s\n' "$wall" >"$1/nginx/wall.conf"
}

# ---- ports ---------------------------------------------------------------

# port_taken PORT: does anybody listen on that port of the loopback address?
port_taken() {
    cat /proc/net/tcp /proc/net/tcp6 2>/dev/null |
        awk -v port="$(printf '%04X' "$1")" '
            $4 == "0A" && split($2, at, ":") == 2 && at[2] == port &&
                at[1] ~ /^(0+|(0+FFFF0000)?0100007F)$/ { taken = 1 }
            END { exit !taken }'
}

# port_free: some port that nobody listens on.
port_free() {
    port=$(awk -v seed="$$" 'BEGIN {
        srand(); srand(srand() + seed); print 20000 + int(rand() * 12000) }')
    while port_taken "$port"; do
        port=$((port + 1))
    done
    printf '%s\n' "$port"
}
