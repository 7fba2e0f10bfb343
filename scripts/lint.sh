#!/usr/bin/env bash
# Formatting, room boundaries and wording. --tidy adds clang-tidy over every source file (slow).
set -euo pipefail
. scripts/common.sh
problems=0
complain() {
  echo "lint: $*" >&2
  problems=$((problems + 1))
}

mapfile -t sources < <(git ls-files '*.h' '*.cpp' 2>/dev/null || find base runtime telemetry agent tests -name '*.h' -o -name '*.cpp')
if ! clang-format --dry-run -Werror "${sources[@]}" 2>build-format.log; then
  sed -n 's/^\([^:]*:[0-9]*\):.*/\1/p' build-format.log | sort -u | head -20 >&2
  complain "not formatted; run: clang-format -i FILE"
fi
rm -f build-format.log

# forbid PATTERN WHERE REASON [ALLOWED_DIRS...]: no file in WHERE may match, but for those allowed.
forbid() {
  local pattern=$1 where=$2 reason=$3 hits
  shift 3
  hits=$(printf '%s\n' "${sources[@]}" | grep -E "^($where)" || true)
  for allowed in "$@"; do hits=$(printf '%s\n' "$hits" | grep -v "^$allowed" || true); done
  [ -n "$hits" ] || return 0
  hits=$(printf '%s\n' "$hits" | xargs -r grep -lE "$pattern" || true)
  [ -z "$hits" ] || complain "$reason:"$'\n'"$hits"
}

# Arrows between the rooms point one way: base <- runtime, telemetry <- agent; all <- agent/main.
forbid '#include "(runtime|telemetry|agent)/' 'base/' 'base includes a room above it'
forbid '#include "(telemetry|agent)/' 'runtime/' 'runtime knows neither telemetry nor the agent'
forbid '#include "(runtime|agent)/' 'telemetry/' 'telemetry knows neither runtime nor the agent'
forbid '#include "agent/main/' '(base|runtime|telemetry|agent)/' 'nothing includes agent/main' agent/main/
forbid '#include "tests/' '(base|runtime|telemetry|agent)/' 'the product includes test code'

# A library's headers stay in the room that wraps it.
forbid '#include <(grpc|grpcpp|google/protobuf)|\.(pb|grpc\.pb)\.h"' '(base|runtime|telemetry|agent)/' \
  'gRPC and protobuf stay inside runtime/containerd' runtime/containerd/
forbid '#include <sqlite3' '(base|runtime|telemetry|agent)/' 'SQLite stays inside its wrapper' base/sqlite/
forbid '#include "base/sqlite/' '(base|runtime|telemetry|agent)/' 'SQL stays inside the store and the outbox' \
  base/sqlite/ agent/store/ telemetry/outbox/ telemetry/stream/
forbid '#include <(mosquitto|mqtt_protocol|wslay)' '(base|runtime|telemetry|agent)/' 'MQTT stays inside agent/fleet' agent/fleet/
forbid '#include <archive' '(base|runtime|telemetry|agent)/' 'libarchive stays inside images and the support bundle' \
  runtime/image/ agent/support/
forbid '#include <httplib' '(base|runtime|telemetry|agent)/' 'HTTP stays inside api, cli and the registry client' \
  agent/api/ agent/cli/ runtime/image/
forbid '#include <(yaml-cpp)' '(base|runtime|telemetry|agent)/' 'yaml-cpp stays inside manifest, config and cli' \
  agent/manifest/ agent/config/ agent/cli/
forbid '#include <prometheus/' '(base|runtime|telemetry|agent)/' 'prometheus-cpp stays inside telemetry/metrics' telemetry/metrics/
forbid '#include <date/' '(base|runtime|telemetry|agent)/' 'time zones stay inside manifest' agent/manifest/
forbid '#include <nlohmann/json.hpp>' '.*\.h$' 'headers use json_fwd.hpp: json.hpp is slow to compile' tests/
forbid '\b(TODO|FIXME|XXX)\b' '.*' 'unfinished work is an issue, not a comment'
forbid 'sleep_for|usleep\(|[^_]sleep\(' 'tests/' 'tests wait for a condition, they do not sleep' tests/support/

large=$(wc -l "${sources[@]}" | awk '$2 != "total" && $1 > 500 { print $1, $2 }')
[ -z "$large" ] || complain "past 500 lines, which is two things in one:"$'\n'"$large"

# Every word that may be a reason stands in docs/troubleshooting.md with what to do about it.
not_reasons=' Accept Active Applied Applying Authorization Available CachesFull Cmd Comment Complete Config
  CronJob Date DiskFull Entrypoint Env Host Job Layers Location MessageTooLarge Normal OverQuota Pending
  Progressing Pull Range Read RepoTags ReportedState ResourceExhausted Running Scheduled Secret Starting
  StopSignal Stopping String Succeeded TooLarge TooManyStreams TooMuchWaiting Unknown User Username Waiting Warning
  Whrc Whrq Whry WorkingDir Write WrongCredentials '
mapfile -t words < <(git ls-files agent/{reconcile,fleet,main,store} runtime telemetry | grep -E '\.(h|cpp)$' |
  grep -v '^runtime/fake/' | xargs grep -hoE '"[A-Z][A-Za-z]*[a-z][A-Za-z]*"' | tr -d '"' | sort -u)
for word in "${words[@]}"; do
  [[ $not_reasons =~ [[:space:]]"$word"[[:space:]] ]] || grep -qF "\`$word\`" docs/troubleshooting.md ||
    complain "\"$word\" is not in docs/troubleshooting.md; where it is no reason, name it in scripts/lint.sh"
done

# The unit: known to systemd, and no less hardened than docs/systemd.md says. The program is not installed here.
unit=$(mktemp -d)/wherryd.service
sed 's,^ExecStart=[^ ]*,ExecStart=/bin/true,' systemd/wherryd.service >"$unit"
said=$(systemd-analyze verify --man=no "$unit" 2>&1) && [ -z "$said" ] ||
  complain "systemd does not like systemd/wherryd.service: $said"
systemd-analyze security --offline=true --threshold=65 "$unit" >/dev/null ||
  complain "systemd/wherryd.service is less hardened than docs/systemd.md says: see systemd-analyze security --offline=true"
rm -r "${unit%/*}"

# The package's version is the program's.
[ "$(sed -n '1s/.*(\(.*\)).*/\1/p' debian/changelog)" = "$(sed -n 's/^project(wherry VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)" ] ||
  complain "debian/changelog and CMakeLists.txt give different versions"

# Manual pages, shell completion.
mandoc -Tlint -W warning man/* >&2 || complain "mandoc does not like a manual page"
scripts/configuration-man.py | cmp -s - man/wherry.yaml.5 ||
  complain "docs/configuration.md has changed; run: scripts/configuration-man.py >man/wherry.yaml.5"
bash -n configs/completion/wherry.bash || complain "configs/completion/wherry.bash is no bash"

if [ "${1:-}" = --tidy ]; then
  build_tree build
  printf '%s\n' "${sources[@]}" | grep '\.cpp$' | grep -v '^tests/' |
    xargs -P "$(nproc)" -n 4 clang-tidy -p build --quiet \
      --extra-arg=-Wno-unknown-warning-option 2>/dev/null || complain "clang-tidy found something"
fi
[ "$problems" -eq 0 ] && echo "lint: clean (${#sources[@]} files)"
exit $((problems > 0))
