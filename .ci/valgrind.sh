#!/bin/sh
# Runs the Lua boundary (src/spell/raw) under valgrind memcheck: `.ci/valgrind.sh [TEST-BINARY-NAME] [FILTER]...`.
#
# Lua's blocks come from an arena that memcheck does not know: each VM is one mapping, so reads inside it are
# never wrong to memcheck. What it does find: host memory (the core, codec buffers, natives' values) used after
# free or before it is set, or leaked across an error that jumps.
set -eu
cd "$(dirname "$0")/.."
name=${1:-sandbox}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- coroutines:: results::a_ results::errors results::metatables loops::a_swallowed

# The newest executable of that test, as cargo names it.
program=$(cargo test --test "$name" --no-run --message-format=json 2>/dev/null |
    sed -n 's/.*"name":"'"$name"'".*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
[ -n "$program" ] || { echo "no test binary \`$name\`" >&2; exit 2; }

# No suppressions are needed: a VM's 4 GiB are reserved, not touched, and coroutines switch no C stack.
valgrind --tool=memcheck --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite \
    --show-leak-kinds=definite --quiet \
    "$program" --test-threads=1 "$@"
