#!/bin/bash
# What scripts/package-test.sh runs in its Debian.
set -euo pipefail
cd /test
export PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive

fail() {
  echo "package test: $*" >&2
  tail -n 20 agent.log containerd.log >&2 || true
  exit 1
}
check() { # WHAT COMMAND...
  local what=$1
  shift
  "$@" || fail "not so: $what"
  echo "  $what"
}
until_true() { # WHAT COMMAND...
  local what=$1 deadline=$((SECONDS + 120))
  shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $deadline ] || fail "gave up waiting: $what"
    sleep 0.1
  done
  echo "  $what"
}
is() { [ "$1" = "$2" ] || { echo "is: $1; not: $2" >&2; return 1; }; }
none() { local output; output=$("$@" 2>/dev/null || true); [ -z "$output" ] || { echo "$output" >&2; return 1; }; }

start_containerd() {
  containerd --config containerd.toml >>containerd.log 2>&1 &
  containerd=$!
  until_true "containerd answers" ctr version
}
# In place of systemd, with what the unit leaves it.
start_agent() {
  mkdir -p /run/wherry
  ./like-the-unit.py wherryd.service /usr/sbin/wherryd --config /etc/wherry/wherry.yaml >>agent.log 2>&1 &
  agent=$!
}
stop() { kill "$1" && { wait "$1" || true; }; }
tasks() { ctr -n wherry tasks list | awk 'NR > 1 { print $1, $2, $3 }' | sort; }
# By bash alone: curl is not there.
page() { exec 3<>/dev/tcp/127.0.0.1/30080 && printf "GET / HTTP/1.0\r\n\r\n" >&3 && grep -q "^HTTP/1" <&3; }
both_run() { [ "$(wherry list | grep -c ' Running *1/1 ')" = 2 ]; }
# Files of this Debian; dpkg's own notes and backups of /etc/group are no leftovers.
files() {
  find / -xdev \( -path /var/lib/dpkg -o -path /var/log -o -path /var/cache -o -path /tmp -o -path /root \
    -o -path /test -o -path /etc/.pwd.lock -o -name '*-' \) -prune -o -print | sort
}
rules() { { iptables-save; ip6tables-save; } | grep -E 'WHERRY|CNI-' ; }
below_run() { grep -E ' /run/(wherry|containerd)/' /proc/self/mountinfo; }
left_running() { ps -eo pid,args | grep -E '[/]containerd-shim|[w]herry|[h]ttpd'; }
groups_left() { find /sys/fs/cgroup -mindepth 1 -maxdepth 2 -name wherry -type d -exec find {} -mindepth 1 -type d \;; }

workload() {
  mkdir -p /etc/wherry/manifests.d
  cat >/etc/wherry/manifests.d/web.yaml <<'YAML'
apiVersion: v1
kind: Pod
metadata: { name: web, labels: { app: web } }
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: web
    image: demo.local/web:1.0
    command: [httpd, -f, -p, "80", -h, /www]
    ports: [{ containerPort: 80, hostPort: 8080 }]
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { type: NodePort, selector: { app: web }, ports: [{ port: 80, nodePort: 30080 }] }
---
apiVersion: v1
kind: Pod
metadata: { name: shared }
spec:
  terminationGracePeriodSeconds: 1
  shareProcessNamespace: true
  securityContext: { fsGroup: 2000 }
  volumes: [{ name: memory, emptyDir: { medium: Memory } }]
  containers:
  - name: main
    image: demo.local/web:1.0
    command: [sleep, "1000000"]
    volumeMounts: [{ name: memory, mountPath: /tmp }]
YAML
  install -m 600 web.tar /var/lib/wherry/preload/
}
nothing_left() {
  check "no process is left" none left_running
  check "no control group is left" none groups_left
  check "no mount is left" none below_run
  check "no rule of the packet filter is left" none rules
  check "no bridge and no route is left" none sh -c 'ip -o link show type bridge; ip route show table main proto 87'
  check "no group is left" none getent group wherry
}

cat >containerd.toml <<'TOML'
version = 2
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs"]
TOML

echo 0123456789abcdef0123456789abcdef >/etc/machine-id
echo "A clean installation"
start_containerd
files >before
check "nothing of ours is there yet" none find / -xdev -name '*wherry*'
dpkg -i old.deb >/dev/null
check "the configuration is good" is "$(wherryd --check-config)" "/etc/wherry/wherry.yaml is good"
check "the version is the package's" is "$(wherryd --version)" "wherryd $(dpkg-query -W -f '${Version}' wherry)"
check "the group is there" getent group wherry
check "state is root's" is "$(stat -c '%a %U' /var/lib/wherry)" "700 root"
check "the service is enabled" test -L /etc/systemd/system/multi-user.target.wants/wherryd.service
check "systemd likes the unit" systemd-analyze verify --man=no wherryd.service
check "the configuration is asked about" is "$(dpkg-query -W -f '${Conffiles}' wherry | awk 'NF { print $1 }')" /etc/wherry/wherry.yaml

echo "Workloads, with what the unit leaves the agent"
workload
start_agent
until_true "both Pods run" both_run
check "filters are in force" grep -q '^Seccomp:	2' /proc/$agent/status
check "capabilities are taken" is "$((0x$(awk '/^CapEff/ { print $2 }' /proc/$agent/status) >> 25 & 1))" 0
filters() { awk '/^Seccomp_filters/ { print $2 }' "/proc/$1/status"; }
check "the first process of a shared Pod may do less still" is "$(filters "$(pgrep -x pause)")" $(($(filters $agent) + 1))
until_true "the port of the device leads to the Pod" page
check "the socket is the group's" is "$(stat -c '%a %G' /run/wherry/api.sock)" "660 wherry"
tasks >tasks

echo "Newer and older packages"
for step in new old; do
  dpkg -i $step.deb >/dev/null
  check "$step: workloads do not notice" is "$(tasks)" "$(cat tasks)"
  stop "$agent"
  start_agent
  until_true "$step: the agent finds both" both_run
  check "$step: they are the same" is "$(tasks)" "$(cat tasks)"
done

echo "Removed and installed again"
dpkg -r wherry >/dev/null
stop "$agent"
check "workloads run on" is "$(tasks)" "$(cat tasks)"
dpkg -i old.deb >/dev/null
start_agent
until_true "the agent finds both" both_run
check "they are the same" is "$(tasks)" "$(cat tasks)"

echo "Purged"
dpkg -r wherry >/dev/null
stop "$agent"
dpkg --purge wherry
check "containerd has nothing of ours" none ctr namespaces list -q
nothing_left
files >after
check "no file is left" diff before after

echo "Purged while containerd is not there"
dpkg -i old.deb >/dev/null
workload
start_agent
until_true "both Pods run" both_run
stop "$containerd"
dpkg -r wherry >/dev/null
stop "$agent"
dpkg --purge wherry
nothing_left
files >after
check "no file is left" diff before after
start_containerd
check "what containerd keeps starts nothing" none left_running
echo "package test: passed"
