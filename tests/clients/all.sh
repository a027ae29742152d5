#!/usr/bin/env bash
# Runs every client of this folder whose tools are on this machine, one after the other, against a
# server of its own. What cannot be had here (a tool, or a way to its packages) is named and passed
# over; a client that runs and finds something wrong fails all of it.
#
#   tests/clients/all.sh [SERVER, target/debug/portunus]
set -uo pipefail
cd "$(dirname "$0")/../.."
server=$(realpath "${1:-target/debug/portunus}")
cd tests/clients
work=$(mktemp -d)
ran=0 failed=()

# A port that nobody listens on.
port() {
  local at
  while at=$((20000 + RANDOM % 10000)); (exec 3<>"/dev/tcp/127.0.0.1/$at") 2>/dev/null; do :; done
  echo "$at"
}

url=http://127.0.0.1:$(port) peer=http://127.0.0.1:$(port)
export PORTUNUS_ENDPOINT=$url
"$server" --data-dir "$work/data" --listen-client-urls "$url" --advertise-client-urls "$url" \
  --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" \
  --initial-cluster "default=$peer" >"$work/server.log" 2>&1 &
member=$!
trap 'kill "$member" 2>/dev/null; wait "$member" 2>/dev/null; rm -rf "$work"' EXIT
until (exec 3<>"/dev/tcp/127.0.0.1/${url##*:}") 2>/dev/null; do
  kill -0 "$member" || { cat "$work/server.log"; exit 1; }
  sleep 0.1
done

# client NAME "TOOLS" GET RUN: GET fetches packages and may fail, RUN may not.
client() {
  local name=$1 tools=$2 get=$3 run=$4 tool
  for tool in $tools; do
    command -v "$tool" >/dev/null || { echo "== $name: passed over, there is no $tool here"; return; }
  done
  if ! timeout 120 bash -euc "$get" >"$work/get.log" 2>&1; then
    echo "== $name: passed over, its packages cannot be had here: $(tail -n 1 "$work/get.log")"
    return
  fi
  echo "== $name"
  ran=$((ran + 1))
  timeout 300 bash -euo pipefail -c "$run" || failed+=("$name")
}

client go go 'cd go && go mod download' 'cd go && go run .'
client java 'java mvn' 'cd java && mvn -q -B dependency:resolve dependency:resolve-plugins' \
  'cd java && mvn -q -B compile exec:java'
client jetcd 'java mvn' 'cd jetcd && mvn -q -B dependency:resolve dependency:resolve-plugins' \
  'cd jetcd && mvn -q -B clean test'
client jetcd-first 'java mvn' 'cd jetcd && mvn -q -B -Pfirst dependency:resolve' \
  'cd jetcd && mvn -q -B clean test -Pfirst'
client python python3 \
  "python3 -m venv '$work/venv' && '$work/venv/bin/pip' install -q -r python/requirements.txt" \
  "'$work/venv/bin/python' python/clients.py"
client node 'node npm' 'cd node && npm install --silent --no-audit --no-fund --no-package-lock' \
  'cd node && node clients.js'
client interop 'go java mvn etcdctl' 'cd go && go mod download' './interop.sh 5'

echo "clients: $ran ran, ${#failed[@]} failed${failed[*]:+: ${failed[*]}}"
[ ${#failed[@]} = 0 ]
