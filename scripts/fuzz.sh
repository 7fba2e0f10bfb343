#!/usr/bin/env bash
# Looks for inputs that break what must hold (tests/fuzz): every target, or those named, for so many
# seconds each, as many at a time as there are processors. What it finds is kept in build-fuzz/findings.
# With --short it is the fuzz suite of ./dev test: five seconds, in the tree of the asan suite, from
# one seed, so that what it finds is the change's doing and not luck's.
set -euo pipefail
. scripts/common.sh

# A target is a folder of seeds: tests/fuzz/NAME_corpus.
mapfile -t known < <(cd tests/fuzz && printf '%s\n' *_corpus | sed 's/_corpus$//')
seconds=600
seed=0  # another one each time
tree=build-fuzz options=("${fuzz_options[@]}")
targets=()
while [ $# -gt 0 ]; do
  case "$1" in
    --seconds) seconds=${2:-}; shift ;;
    --seconds=*) seconds=${1#*=} ;;
    --short) seconds=5 seed=1 tree=build-asan options=("${asan_options[@]}") ;;
    *)
      if ! printf '%s\n' "${known[@]}" | grep -qxF -e "$1"; then
        echo "dev fuzz: there is no target '$1'; choose from: ${known[*]}" >&2
        exit 2
      fi
      targets+=("$1")
      ;;
  esac
  shift
done
case "$seconds" in
  '' | *[!0-9]* | 0) echo "dev fuzz: --seconds takes a whole number of seconds, 1 or more" >&2; exit 2 ;;
esac
[ ${#targets[@]} -gt 0 ] || targets=("${known[@]}")

mkdir -p "$tree"
: >"$tree/failed"
build_tree "$tree" "${options[@]}" -- "${targets[@]/#/fuzz_}"
findings=$tree/findings
mkdir -p "$findings" "$tree/fuzz-logs"

# fuzz_one TARGET: the corpus that grows is kept between runs; the seeds are only read.
fuzz_one() {
  local target=$1 log=$tree/fuzz-logs/$1.log
  mkdir -p "$tree/corpus/$target"
  if "$tree/tests/fuzz_$target" -seed="$seed" -max_total_time="$seconds" -timeout=30 -rss_limit_mb=2048 \
    -print_final_stats=1 -artifact_prefix="$findings/$target-" \
    "$tree/corpus/$target" "tests/fuzz/${target}_corpus" >"$log" 2>&1; then
    echo "$target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs, nothing found"
    return 0
  fi
  echo "$target: FAILED; the end of $log:"
  grep -v '^#' "$log" | tail -n 40
  return 1
}

running=() names=() failed=()
# Waits for the oldest; a target that found something does not stop the others.
finish_one() {
  wait "${running[0]}" || failed+=("${names[0]}")
  running=("${running[@]:1}") names=("${names[@]:1}")
}
for target in "${targets[@]}"; do
  fuzz_one "$target" &
  running+=($!) names+=("$target")
  [ ${#running[@]} -lt "$(nproc)" ] || finish_one
done
while [ ${#running[@]} -gt 0 ]; do finish_one; done

[ ${#failed[@]} -eq 0 ] || printf '%s\n' "${failed[@]}" >"$tree/failed"  # ./dev test counts them
[ ${#failed[@]} -gt 0 ] || exit 0
for target in "${failed[@]}"; do
  newest=$(find "$findings" -name "$target-*" -printf '%T@ %p\n' | sort -rn | sed -n '1s/^[^ ]* //p')
  echo "to see it again:  $tree/tests/fuzz_$target ${newest:-(no input was kept; see $tree/fuzz-logs/$target.log)}" >&2
  echo "once it is fixed, keep the input in tests/fuzz/${target}_corpus: the unit tests replay it" >&2
done
exit 1
