#!/usr/bin/env bash
# Runs the suites, each with ctest; the last line adds up the test cases of all.
set -euo pipefail
. scripts/common.sh

suites=("$@")
[ ${#suites[@]} -gt 0 ] || suites=(lint unit contract integration)
[ "${suites[*]}" != all ] || suites=(lint unit contract integration asan fuzz tsan)
passed=0 failed=0 ahead=

# run_suite NAME BUILD_DIR CTEST_OPTIONS...
run_suite() {
  local name=$1 dir=$2 results status=0 cases broken
  shift 2
  results=$PWD/$dir/results/$name
  rm -rf "$results"
  mkdir -p "$results"
  echo "== $name"
  GTEST_OUTPUT="xml:$results/" GTEST_BRIEF=1 ctest --test-dir "$dir" --output-on-failure "$@" || status=$?
  cases=$(sum_attribute tests "$results")
  broken=$(($(sum_attribute failures "$results") + $(sum_attribute errors "$results")))
  # A binary that crashed or hung wrote no result: that is a failure all the same.
  [ "$status" -eq 0 ] || [ "$broken" -gt 0 ] || broken=1
  passed=$((passed + cases - (broken < cases ? broken : cases)))
  failed=$((failed + broken))
}

# Adds up one attribute of the outermost element of every GoogleTest result file.
sum_attribute() {
  find "$2" -name '*.xml' -exec sed -n "s/^<testsuites.*[ ]$1=\"\([0-9]*\)\".*/\1/p" {} + |
    awk '{ sum += $1 } END { print sum + 0 }'
}

# Builds the trees that later suites need while the present ones mostly wait for daemons: with the
# lowest priority, so that it takes only the time that tests leave. What fails shows when it is needed.
build_ahead() {
  [ -z "$ahead" ] || return 0
  local suite
  for suite in "${suites[@]}"; do
    case "$suite" in
      fuzz) echo asan_options fuzz_suite ;;
      asan | tsan) echo "${suite}_options" unit_suite contract_suite ;;
    esac
  done | while read -r name targets; do
    local -n options=$name
    # shellcheck disable=SC2086  # several targets
    build_tree "build-${name%_options}" "${options[@]}" -- $targets || true
  done >build/ahead.log 2>&1 &
  ahead=$!
  renice -n 19 -p "$ahead" >/dev/null 2>&1 || true  # it may have ended: there may be nothing to build
}
built_ahead() {
  [ -z "$ahead" ] || wait "$ahead" || true
}
# A run that is interrupted leaves no compiler at work.
trap '[ -z "$ahead" ] || { pkill -TERM -P "$ahead"; kill "$ahead"; } 2>/dev/null || true' EXIT

sanitized() {
  local suite=$1 dir=build-$1
  shift
  need_root "the $suite suite"
  built_ahead
  build_tree "$dir" "$@" -- unit_suite contract_suite
  run_suite "$suite" "$dir" -L 'unit|contract' -j"$(nproc)"
}

# The suites that touch containerd, on the versions of newer Debian releases.
containerd_versions() {
  local release program
  need_root "the containerd-versions suite"
  build_tree build
  for release in trixie forky; do
    program=$(scripts/containerd-of.sh "$release")
    echo "== Debian $release: $("$program" --version)"
    WHERRY_TEST_CONTAINERD=$program run_suite "containerd-$release" build \
      -R '^(contract_(containerd|images|pod|runtime)|integration_(crash|image|system))$' -j2
  done
}

# A short run of every fuzz target; each counts as one case.
fuzz_shortly() {
  local status=0 bad targets
  targets=$(printf '%s\n' tests/fuzz/*_corpus | wc -l)
  built_ahead
  echo "== fuzz"
  scripts/fuzz.sh --short || status=$?
  bad=$(grep -c . build-asan/failed || true)
  # Where nothing ran, nothing was shown.
  [ "$status" -eq 0 ] || [ "$bad" -gt 0 ] || bad=$targets
  passed=$((passed + targets - bad))
  failed=$((failed + bad))
}

started=$SECONDS
for suite in "${suites[@]}"; do
  suite_started=$SECONDS
  case "$suite" in
    lint) scripts/lint.sh ;;
    unit) build_tree build; run_suite unit build -L unit -j"$(nproc)" ;;
    contract | integration)
      need_root "the $suite suite"
      build_tree build
      build_ahead
      run_suite "$suite" build -L "$suite" -j2
      ;;
    containerd-versions) containerd_versions ;;
    fuzz) fuzz_shortly ;;
    asan) sanitized asan "${asan_options[@]}" ;;
    tsan) sanitized tsan "${tsan_options[@]}" ;;
    *)
      echo "dev test: there is no suite '$suite'; choose from:" \
        "lint unit contract integration asan fuzz tsan containerd-versions all" >&2
      exit 2
      ;;
  esac
  echo "== $suite took $((SECONDS - suite_started)) s"
done
echo "all suites took $((SECONDS - started)) s"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
