# Sourced by .ci/run and .ci/full: a copy of the checkout to work in, steps that are counted, and the
# closing line.

exec < /dev/null
# Hundreds of processes are started here, and each would compile all of aluvia anew.
unset PYTHONDONTWRITEBYTECODE
cd "$(dirname "${BASH_SOURCE[0]}")/.."
origin=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

passed=0 failed=0 skipped=0
broken=()

# copy_checkout DIRECTORY: the tree as it would be cloned. What is ignored stays behind, a stale build/
# and .venv among it.
copy_checkout() {
    mkdir "$1"
    git -C "$origin" -c safe.directory='*' ls-files --cached --others --exclude-standard -z |
        tar --create --null --directory="$origin" --files-from=- --ignore-failed-read 2> /dev/null |
        tar --extract --directory="$1"
}

copy_checkout "$work/checkout"
cd "$work/checkout"

# step NAME COMMAND…: run it, go on if it fails, and add up the figures of trial's last summary, or of
# the closing line of another of these scripts.
step() {
    local name=$1 log=$work/log status=0 failures_before=$failed seconds_before=$SECONDS out tee
    shift
    printf '\n=== %s\n' "$name"
    exec {out}> >(tee "$log")
    tee=$!
    "$@" >&"$out" 2>&1 {out}>&- || status=$?
    exec {out}>&-
    wait "$tee"
    printf '\n=== %s: status %d, %d s\n' "$name" "$status" $((SECONDS - seconds_before))
    add_up "$(grep --extended-regexp --only-matching --text \
        '^((PASSED|FAILED) \([A-Za-z0-9=, ]+\)|[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$)' \
        "$log" | tail -n 1)"
    if ((status != 0)); then
        broken+=("$name (status $status)")
        if ((failed == failures_before)); then
            failed=$((failed + 1))
        fi
    fi
}

# add_up LINE: "FAILED (failures=1, successes=2)" or "2 passed, 1 failed".
add_up() {
    local count what
    while read -r count what; do
        case $what in
            successes | expectedFailures | passed) passed=$((passed + count)) ;;
            failures | errors | unexpectedSuccesses | failed) failed=$((failed + count)) ;;
            skips | skipped) skipped=$((skipped + count)) ;;
        esac
    done < <(sed --regexp-extended 's/([A-Za-z]+)=([0-9]+)/\2 \1/g; s/^[A-Z]+ \(|\)//g; s/, /\n/g' \
        <<< "$1")
}

# The last line, for people and for whatever reads it; the exit status says the same.
close() {
    printf '\n'
    if ((${#broken[@]})); then
        printf 'broken: %s\n' "${broken[@]}"
    fi
    printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
    ((failed == 0 && passed > 0))
}
