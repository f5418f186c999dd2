#!/bin/bash
# The two-stage job of benches/orders on Sanctum and on each peer that is installed, on one core.
#
#   benches/peers/run.sh [EVENTS] [ROUNDS]
#
# Rounds are interleaved, so that what else the machine does hits all alike; medians are shown. CPU seconds
# are those of all processes that a peer needs, its feeder included.
set -euo pipefail
events=${1:-1000000} rounds=${2:-3}
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PEER_DIR=$folder
python=${PYTHON:-python3}

cd "$root"
cargo build --quiet --release
EVENTS=$events cargo bench --quiet --bench throughput -- --write "$folder/orders.ndjson"
cd "$folder"
sanctum=${CARGO_TARGET_DIR:-$root/target}/release/sanctum
orders=orders.ndjson
cast="$sanctum cast $root/benches/orders --seed $orders --topic orders --workers 1"

names=() commands=()
add() { # name, what has to succeed for it to be there, command
    if eval "$2" >/dev/null 2>&1; then
        names+=("$1") commands+=("$3")
    else
        echo "not installed: $1" >&2
    fi
}
add "Sanctum, --log none" true "$cast --log none"
add "Sanctum, --log memory" true "$cast --log memory"
add "Lua 5.4, no engine" "lua5.4 -e 'require \"cjson\"'" "lua5.4 $here/lua.lua <$orders"
add "Lua 5.4, encoded between stages" "lua5.4 -e 'require \"cjson\"'" "lua5.4 $here/lua-encoded.lua <$orders"
add "LuaJIT, no engine" "luajit -e 'require \"cjson\"'" "luajit $here/lua.lua <$orders"
add "Bytewax" "$python -c 'import bytewax'" "$python $here/bytewax_flow.py $orders"
add "jq and awk" "command -v jq" "sh $here/jq.sh $orders"
add "Tarantool" "command -v tarantool" "tarantool $here/tarantool.lua <$orders"
add "Redis Functions" "command -v redis-server" "sh $here/redis.sh $orders"

TIMEFORMAT='%U %S %R'
for ((round = 0; round < rounds; round++)); do
    for at in "${!names[@]}"; do
        rm -f ./*.snap ./*.xlog
        { time taskset -c "${CORE:-0}" bash -c "${commands[at]}" >"answer.$at" 2>"error.$at"; } 2>>"times.$at" ||
            { echo "${names[at]} failed:" >&2; tail -3 "error.$at" >&2; exit 1; }
        if ! cmp -s answer.0 "answer.$at"; then
            echo "${names[at]} answers otherwise: $(head -c 200 "answer.$at"), not $(cat answer.0)" >&2
            exit 1
        fi
    done
done

echo "$events orders, medians of $rounds; load $(cut -d' ' -f1-3 /proc/loadavg); $(cat answer.0)"
printf '%-34s %8s %8s %14s\n' peer 'CPU s' 'wall s' 'orders/CPU s'
for at in "${!names[@]}"; do
    awk '{ print $1 + $2, $3 }' "times.$at" | sort -n | awk -v name="${names[at]}" -v events="$events" \
        '{ cpu[NR] = $1; wall[NR] = $2 }
         END { m = int((NR + 1) / 2); printf "%-34s %8.2f %8.2f %14d\n", name, cpu[m], wall[m], events / cpu[m] }'
done
