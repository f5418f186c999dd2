#!/bin/sh
# redis.sh orders.ndjson: a server of its own on a socket, fed through `redis-cli --pipe`.
set -eu
here=$(dirname "$0")
folder=$(mktemp -d)
redis-server --port 0 --unixsocket "$folder/socket" --save "" --appendonly no --dir "$folder" \
    --daemonize no --loglevel warning >/dev/null &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
cli="redis-cli -s $folder/socket"
until $cli ping >/dev/null 2>&1; do sleep 0.05; done
$cli -x FUNCTION LOAD <"$here/redis_orders.lua" >/dev/null
LC_ALL=C awk '{ printf "*6\r\n$5\r\nFCALL\r\n$3\r\nbig\r\n$1\r\n2\r\n$3\r\nbig\r\n$6\r\ncounts\r\n$%d\r\n%s\r\n", length($0), $0 }' "$1" |
    $cli --pipe >/dev/null
$cli FCALL answer 1 counts
$cli SHUTDOWN NOSAVE >/dev/null 2>&1 || true
wait "$server" || true
trap - EXIT
rm -rf "$folder"
