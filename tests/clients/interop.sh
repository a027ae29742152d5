#!/usr/bin/env bash
# Go's concurrency package, jetcd and etcdctl stand in one line, for a lock and for a seat, each to
# sign a text that nothing else protects. Fails if two ever hold it together, or if a signature is
# lost. Needs go, mvn and etcdctl; the server is the one that PORTUNUS_ENDPOINT names.
#
#   tests/clients/interop.sh [ROUNDS of each client, 20]
set -uo pipefail
cd "$(dirname "$0")"
: "${PORTUNUS_ENDPOINT:?set PORTUNUS_ENDPOINT, e.g. http://127.0.0.1:2379}"
export PORTUNUS_ENDPOINT ETCDCTL_API=3 ETCDCTL_ENDPOINTS=$PORTUNUS_ENDPOINT
rounds=${1:-20}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

(cd go && go build -o "$work/contend" .) || exit 1
(cd java && mvn -q compile) || exit 1

# As the others do it: read and written in two calls.
cat >"$work/sign" <<'SCRIPT'
#!/usr/bin/env bash
set -eu
other=$(etcdctl get "$1.mark" --print-value-only)
if [ -n "$other" ]; then echo "FAIL two hold $1 at once: etcdctl and $other" >&2; exit 1; fi
etcdctl put "$1.mark" etcdctl >/dev/null
before=$(etcdctl get "$1.signed" --print-value-only)
etcdctl put "$1.signed" "${before}e" >/dev/null
etcdctl del "$1.mark" >/dev/null
SCRIPT
chmod +x "$work/sign"

etcdctl_lock() {
  for ((n = 0; n < rounds; n++)); do
    etcdctl lock "$1" -- "$work/sign" "$1" >/dev/null || return 1
  done
  echo "etcdctl: $rounds times lock of $1"
}

# It prints its key and its proposal once it leads, and resigns at ctrl-C.
etcdctl_elect() {
  for ((n = 0; n < rounds; n++)); do
    coproc SEAT { exec etcdctl elect "$1" etcdctl; }
    local candidate=$SEAT_PID
    read -r _ <&"${SEAT[0]}" && read -r leader <&"${SEAT[0]}" || return 1
    [ "$leader" = etcdctl ] && "$work/sign" "$1" || return 1
    kill -INT "$candidate"
    wait "$candidate"
  done
  echo "etcdctl: $rounds times elect of $1"
}

standing() { etcdctl get "$1/" --prefix --keys-only | grep -c . ; }

failed=0
for how in lock elect; do
  name=interop-$how-$(date +%s)
  # Nobody begins before all of them stand in line: somebody else is first, on a lease of its own.
  lease=$(etcdctl lease grant 120 | cut -d' ' -f2)
  etcdctl put --lease="$lease" "$name/$lease" first >/dev/null
  pids=()
  "$work/contend" contend $how "$name" "$rounds" & pids+=($!)
  (cd java && exec mvn -q exec:java -Dexec.args="contend $how $name $rounds") 2>/dev/null & pids+=($!)
  "etcdctl_$how" "$name" & pids+=($!)
  for ((n = 0; n < 300 && $(standing "$name") < 4; n++)); do sleep 0.1; done
  etcdctl lease revoke "$lease" >/dev/null
  for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
  signed=$(etcdctl get "$name.signed" --print-value-only)
  echo "$how: signed $signed; in line afterwards: $(standing "$name")"
  [ "${#signed}" = $((3 * rounds)) ] && [ "$(standing "$name")" = 0 ] || failed=1
done
exit $failed
