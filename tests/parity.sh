#!/usr/bin/env bash
# Holds this server against other releases of etcd, which Go builds: every answer of the parity
# tests, and the moves there and back. Needs go and a way to its packages; about two minutes each.
#
#   tests/parity.sh [RELEASE, v3.5 v3.6 v3.7]...
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- v3.5 v3.6 v3.7
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cargo build -p portunus --locked
for release; do
  mkdir "$work/$release"
  (
    cd "$work/$release"
    go mod init real >go.log 2>&1
    go get "go.etcd.io/etcd/server/v3@$release" "go.etcd.io/etcd/etcdutl/v3@$release" >>go.log 2>&1 ||
      { cat go.log; exit 1; }
    go build -o etcd go.etcd.io/etcd/server/v3
    go build -o etcdutl go.etcd.io/etcd/etcdutl/v3
    ./etcd --version | head -n 1
  )
  REAL_ETCD=$work/$release/etcd cargo test -p portunus-tests --test parity --locked
done
