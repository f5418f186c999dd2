# `just` lists what there is. Each recipe is a thin line over cargo and the binary itself.

sanctum := "cargo run --quiet --release --"

_default:
    @just --list --unsorted

# Everything a change must pass: format, lints, tests, golden cases, documents.
test:
    bash .ci/test

# The golden cases alone: `just golden`, `just golden 'state-*'`.
golden *CASES:
    {{sanctum}} test regression {{CASES}}

# Writes the golden files of cases anew and shows what changes.
freeze *CASES:
    {{sanctum}} freeze regression {{CASES}}

# Runs any command of the binary: `just run cast spells/quakes --seed ...`.
run *ARGUMENTS:
    {{sanctum}} {{ARGUMENTS}}

# A golden case under GDB.
debug CASE:
    cargo build
    gdb --args target/debug/sanctum test regression {{CASE}} --jobs 1

# Benchmarks: all, or one (`just bench cast`). CPU time; compare within one run.
bench *NAMES:
    cargo bench {{ if NAMES == "" { "" } else { "--bench " + NAMES } }}

# The raw Lua boundary under valgrind.
valgrind:
    bash .ci/valgrind.sh

# Rewrites generated documents: the runeset reference and its JSON Schema.
bless:
    SANCTUM_BLESS=1 cargo test --test runeset

# A server under load: nothing is lost, nothing comes twice, memory is flat.
soak SECONDS="600":
    cargo bench --bench soak -- {{SECONDS}}
