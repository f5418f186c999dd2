"""python3 bytewax_flow.py orders.ndjson: two steps with keyed state, in batches of 1,000 lines."""

import json
import sys

try:
    from orjson import loads
except ImportError:
    from json import loads

import bytewax.operators as op
from bytewax.connectors.files import FileSource
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import cluster_main

LAST = {}


class Keep(StatelessSinkPartition):
    def write_batch(self, items):
        LAST.update(items)


class KeepSink(DynamicSink):
    def build(self, step_id, worker_index, worker_count):
        return Keep()


def big(line):
    order = loads(line)
    if order["amount"] > 50:
        order["tax"] = order["amount"] * 0.19
        order["$topic"] = "orders.big"
        return (order["user"], order)
    return None


def count(state, order):
    state = (state or 0) + 1
    return (state, state)


flow = Dataflow("orders")
lines = op.input("lines", flow, FileSource(sys.argv[1], batch_size=1000))
counts = op.stateful_map("count", op.filter_map("big", lines, big), count)
op.output("keep", counts, KeepSink())

cluster_main(flow, [], 0, worker_count_per_proc=1)
values = LAST.values()
print(f"users={len(LAST)} orders={sum(values)} squares={sum(n * n for n in values)}")
