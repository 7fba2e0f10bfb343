#!/usr/bin/env bash
# [SECONDS [SEED]]: a device treated badly at random, judged from the receiver's side; see tests/soak.
set -euo pipefail
. scripts/common.sh
need_root "the soak test"
build_tree build -- wherryd wherry wherry-logger wherry-pause wherry-soak wherry_test_janitor
exec scripts/isolate.sh build/tests/wherry-soak "$@"
