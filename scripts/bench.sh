#!/usr/bin/env bash
# Measures on private daemons; see tests/bench. Names choose among: start many fifty docker change documents idle telemetry ready probes images ingest drain fleet dashboard.
set -euo pipefail
. scripts/common.sh
need_root "the benchmark"
build_tree build -- wherryd wherry wherry-logger wherry-simulate wherry-bench wherry_test_janitor
exec scripts/isolate.sh build/tests/wherry-bench "$@"
