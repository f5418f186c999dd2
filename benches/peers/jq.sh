#!/bin/sh
# jq.sh orders.ndjson: both stages by jq, but counting, for which it would copy the whole map each time, by awk.
jq -r 'select(.amount > 50) | .tax = .amount * 0.19 | .["$topic"] = "orders.big" | .user' "$1" |
    awk '{ n[$1]++ } END { for (u in n) { users++; orders += n[u]; squares += n[u] * n[u] }
         printf "users=%d orders=%d squares=%d\n", users, orders, squares }'
