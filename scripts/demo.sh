#!/usr/bin/env bash
# A web page from a container, deployed over MQTT: private containerd, Mosquitto and wherryd below
# build/demo, an image made on the spot, and nothing left behind. --keep leaves it all running.
set -euo pipefail
. scripts/common.sh

keep=
case "${1:-}" in
  '') ;;
  --keep) keep=yes ;;
  *) echo "usage: ./dev demo [--keep]" >&2; exit 2 ;;
esac
need_root "the demo"
build_tree build -- wherryd wherry wherry-logger

demo=$PWD/build/demo
bin=$PWD/build/bin
port=${WHERRY_DEMO_PORT:-18830}
device=demo-device
root=wherry/v1/devices/$device
if [ -e "$demo/pids" ]; then
  echo "demo: $demo is still there from a run with --keep; end it with: sudo $demo/stop" >&2
  exit 1
fi
rm -rf "$demo"
mkdir -p "$demo"/{containerd,manifests.d,cni,tmp}

# Ends what the demo started, newest first, each by its process id, and removes its files.
cat >"$demo/stop" <<EOF
#!/usr/bin/env bash
# Ends the demo and removes everything it made.
if [ -S "$demo/run/api.sock" ]; then
  printf 'apiVersion: wherry/v1\nkind: DesiredState\nmetadata: { revision: 1000000 }\nspec: { items: [] }\n' |
    mosquitto_pub -p $port -q 1 -r -t $root/desired -s
  for _ in \$(seq 300); do
    [ -z "\$(ctr -a "$demo/containerd.sock" -n wherry containers list -q 2>/dev/null)" ] && [ -z "\$(ls "$demo/run/netns" 2>/dev/null)" ] && break
    sleep 0.1
  done
fi
for pid in \$(tac "$demo/pids" 2>/dev/null); do
  kill "\$pid" 2>/dev/null || continue
  for _ in \$(seq 100); do kill -0 "\$pid" 2>/dev/null || break; sleep 0.1; done
  kill -9 "\$pid" 2>/dev/null || true
done
awk '\$2 ~ "^$demo/" { print \$2 }' /proc/self/mounts | sort -r | xargs -r umount -l
rm -rf "$demo"
EOF
chmod +x "$demo/stop"
ended() {
  local status=$?
  if [ $status -ne 0 ]; then
    echo "demo: failed; the daemons' last words:" >&2
    tail -n 15 "$demo"/*.log >&2 || true
  fi
  if [ -z "$keep" ] || [ $status -ne 0 ]; then "$demo/stop"; fi
  exit $status
}
trap ended EXIT

# start NAME COMMAND...: in the background, its output in NAME.log, its process id remembered.
start() {
  local name=$1
  shift
  setsid "$@" >"$demo/$name.log" 2>&1 </dev/null &
  echo $! >>"$demo/pids"
}
# until_true SECONDS WHAT COMMAND...
until_true() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    if [ $SECONDS -ge "$deadline" ]; then
      echo "demo: gave up waiting for $what" >&2
      return 1
    fi
    sleep 0.1
  done
}
say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

cat >"$demo/containerd.toml" <<EOF
version = 2
root = "$demo/containerd/root"
state = "$demo/containerd/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs"]
[grpc]
  address = "$demo/containerd.sock"
EOF
cat >"$demo/mosquitto.conf" <<EOF
listener $port 127.0.0.1
allow_anonymous true
set_tcp_nodelay true
EOF
cat >"$demo/wherry.yaml" <<EOF
device: { id: $device }
mqtt: { brokers: ["mqtt://127.0.0.1:$port"] }
containerd: { address: $demo/containerd.sock }
images: { preload_dir: $demo/preload }
network: { cni_conf_dir: $demo/cni, bridge_subnet: 10.89.77.0/24 }
storage: { state_dir: $demo/state, run_dir: $demo/run }
manifests: { dir: $demo/manifests.d }
api: { socket: $demo/run/api.sock }
EOF

wherry() { "$bin/wherry" --socket "$demo/run/api.sock" "$@"; }

echo "Starting containerd, Mosquitto and wherryd below build/demo …"
start containerd env PATH="$PATH:/usr/sbin:/sbin" containerd --config "$demo/containerd.toml"
start mosquitto mosquitto -c "$demo/mosquitto.conf"
scripts/busybox-image.sh demo.local/web:1.0 "$demo/web.tar"
until_true 60 "containerd" ctr -a "$demo/containerd.sock" version
until_true 60 "Mosquitto" mosquitto_pub -p "$port" -t demo/ping -m ping
start wherryd "$bin/wherryd" --config "$demo/wherry.yaml"
until_true 60 "wherryd" wherry status
say '$ wherry images import web.tar'
wherry images import "$demo/web.tar"

cat >"$demo/hello.yaml" <<'EOF'
apiVersion: wherry/v1
kind: DesiredState
metadata:
  revision: 1
spec:
  items:
  - apiVersion: v1
    kind: ConfigMap
    metadata: { name: page }
    data: { greeting: "Hello, World!" }
  - apiVersion: v1
    kind: Pod
    metadata: { name: web }
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: demo.local/web:1.0
        command: [sh, -c, 'echo "$GREETING" > /www/index.html && exec httpd -f -p 80 -h /www']
        env:
        - name: GREETING
          valueFrom: { configMapKeyRef: { name: page, key: greeting } }
        ports: [{ containerPort: 80 }]
        resources: { limits: { cpu: 500m, memory: 32Mi } }
EOF
say "\$ mosquitto_pub -q 1 -r -t $root/desired -f hello.yaml"
cat "$demo/hello.yaml"
mosquitto_pub -p "$port" -q 1 -r -t "$root/desired" -f "$demo/hello.yaml"

running() { [ "$(wherry get web -o json | jq -r .phase)" = Running ]; }
until_true 60 "the workload to run" running
say '$ wherry list'
wherry list
ip=$(wherry get web -o json | jq -r .ip)
say "The container's IP address: $ip"
until_true 30 "the page" curl -fsS --max-time 2 "http://$ip/"
say "\$ curl http://$ip/"
page=$(curl -fsS --max-time 5 "http://$ip/")
echo "$page"
reported() { mosquitto_sub -p "$port" -t "$root/reported" -C 1 -W 5; }
reported_running() { reported | jq -e '.workloads[0].phase == "Running" and .desired[0].state == "Applied"'; }
until_true 30 "the reported state" reported_running
say "\$ mosquitto_sub -C 1 -t $root/reported | jq"
reported | jq .
[ "$page" = "Hello, World!" ] || { echo "demo: the page is not what the document says" >&2; exit 1; }

if [ -n "$keep" ]; then
  say "Still running. Try:"
  cat <<EOF
  alias wherry='$bin/wherry --socket $demo/run/api.sock'
  wherry status; wherry get web; wherry logs web -f; wherry images
  curl http://$ip/
  sed 's/World/Wherry/; s/revision: 1/revision: 2/' $demo/hello.yaml | mosquitto_pub -p $port -q 1 -r -t $root/desired -s
  mosquitto_sub -p $port -v -t 'wherry/v1/#'
  sudo $demo/stop        # ends it and removes everything
EOF
else
  say "Removing everything the demo made …"
fi
