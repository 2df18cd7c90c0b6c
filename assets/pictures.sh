#!/usr/bin/env bash
# Makes the pictures of the README from the running program: a lab, a disaster, the console in tmux, its screens as SVG.
# usage: assets/pictures.sh PROGRAM [FOLDER]      (needs tmux, Python 3, PostgreSQL, pgBackRest: `make setup`)
set -euo pipefail

program=$(realpath "$1")
folder=$(realpath "${2:-$(dirname "${BASH_SOURCE[0]}")}")
picture=$(realpath "$(dirname "${BASH_SOURCE[0]}")/picture.py")
lab=$(mktemp -d /var/tmp/pgmayday-pictures-XXXXXX)
server="pictures-$$"

end() {
    tmux -L "$server" kill-server 2>/dev/null || true
    "$program" lab down --dir "$lab" >/dev/null 2>&1 || true
    rm -rf "$lab"
}
trap end EXIT

# As root the lab belongs to the account that may run PostgreSQL; the console is started as the same account.
as_owner=(env)
if ((EUID == 0)); then
    as_owner=(setpriv --reuid=postgres --regid=postgres --init-groups)
fi

tmux_() { tmux -L "$server" "$@"; }
screen() { tmux_ capture-pane -p -t pictures; }
keys() { tmux_ send-keys -t pictures "$@"; sleep 0.4; }
text() { tmux_ send-keys -t pictures -l "$1"; sleep 0.4; }

# Waits until the screen holds the pattern.
wait_for() {
    for _ in $(seq 1 600); do
        if screen | grep -qE "$1"; then return 0; fi
        sleep 0.1
    done
    echo "waited in vain for '$1'; the screen is:" >&2
    screen >&2
    return 1
}

shot() {
    tmux_ capture-pane -e -p -t pictures | python3 "$picture" >"$folder/$1.svg"
    echo "$folder/$1.svg"
}

rmdir "$lab"
"$program" lab up --dir "$lab" >/dev/null
sleep 4
"$program" lab break bad-update --dir "$lab" >/dev/null
sleep 6

tmux_ -f /dev/null new-session -d -x 100 -y 30 -s pictures \
    "${as_owner[@]}" env TERM=xterm-256color LANG=C.UTF-8 \
    "$program" --config="$lab/pgbackrest.conf" --stanza=lab
tmux_ set-option -g status off
wait_for 'do not agree'
keys i
wait_for 'DECLARE'
keys Enter
# The runbook opens with its first step: three things to agree on, then questions.
wait_for 'The first minute'
wait_for 'Space tick'
keys Space
keys Space
keys Space
keys Enter
wait_for 'Proposal: yes, it answers'
keys y
wait_for 'Proposal: nothing'
keys n
wait_for 'Proposal: logical'
sleep 1
shot runbook
keys Escape
wait_for 'INCIDENT 20'
sleep 1
shot board

keys t
wait_for 'RECOVER TO'
keys Enter
wait_for 'PLAN ·'
shot plan
keys o
wait_for 'take rows from a copy'
sleep 1
shot options
keys Escape
wait_for 'PLAN ·'

keys Enter
wait_for 'Type lab'
text lab
keys Enter
wait_for 'YOUR ANSWER'
shot question

keys y
wait_for 'Type lab'
text lab
keys Enter
wait_for 'DONE'
shot done

keys Escape
keys J
wait_for 'service back'
shot journal
