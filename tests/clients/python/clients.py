"""Uses python-etcd3 (gRPC) and etcd3gw (the JSON gateway) as their users do.

PORTUNUS_ENDPOINT names the server. Ends with a failure at the first answer that is not as etcd's.
"""

import json
import os
import queue
import sys
import threading
import urllib.parse

import etcd3
import etcd3gw

# Reached only when an answer is missing.
PATIENCE = 30


def put_get_delete(client, _gateway):
    client.delete_prefix("python/")
    client.put("python/a", "1")
    value, meta = client.get("python/a")
    assert value == b"1" and meta.version == 1, (value, meta.version)
    client.put("python/a", "2", prev_kv=True)
    client.put("python/b", "3")
    found = [(kv.key, value) for value, kv in client.get_prefix("python/", sort_order="descend")]
    assert found == [(b"python/b", b"3"), (b"python/a", b"2")], found
    assert client.get("python/none") == (None, None)
    assert client.delete("python/a") and not client.delete("python/a")


def txn(client, _gateway):
    client.put("python/txn", "old")
    tx = client.transactions
    done, _ = client.transaction(
        compare=[tx.value("python/txn") == "old", tx.version("python/txn") > 0],
        success=[tx.put("python/txn", "new")],
        failure=[tx.get("python/txn")],
    )
    assert done
    done, answers = client.transaction(
        compare=[tx.value("python/txn") == "old"],
        success=[tx.put("python/txn", "newer")],
        failure=[tx.get("python/txn")],
    )
    assert not done and answers[0][0][0] == b"new", answers
    assert client.replace("python/txn", "new", "newer")
    assert not client.replace("python/txn", "new", "newest")
    assert not client.put_if_not_exists("python/txn", "again")


def watch(client, _gateway):
    events, cancel = client.watch_prefix("python/watched/")
    seen = queue.Queue()
    threading.Thread(target=lambda: [seen.put(event) for event in events], daemon=True).start()
    client.put("python/watched/a", "1")
    client.delete("python/watched/a")
    first, second = seen.get(timeout=PATIENCE), seen.get(timeout=PATIENCE)
    assert isinstance(first, etcd3.events.PutEvent) and first.value == b"1", first
    assert isinstance(second, etcd3.events.DeleteEvent) and second.key == b"python/watched/a"
    cancel()


def lease(client, _gateway):
    granted = client.lease(60)
    client.put("python/leased", "1", lease=granted)
    assert granted.granted_ttl == 60 and 0 < granted.remaining_ttl <= 60
    assert list(granted.keys) == [b"python/leased"], list(granted.keys)
    assert list(granted.refresh())[0].TTL == 60
    granted.revoke()
    assert client.get("python/leased") == (None, None)


def lock(client, _gateway):
    # Without contention only: the library's own waiting does not work with the tenacity that it
    # asks for.
    held = client.lock("python-lock", ttl=60)
    assert held.acquire() and held.is_acquired()
    assert client.get("/locks/python-lock")[0] is not None
    assert held.release() and not held.is_acquired()


def maintenance(client, _gateway):
    assert client.status().leader.id and list(client.members)
    assert not list(client.list_alarms())
    assert client.hash() == client.hash()
    client.compact(client.get("python/txn")[1].mod_revision)
    client.defragment()


def gateway_keys(client, gateway):
    client.delete_prefix("python/gw/")
    assert gateway.put("python/gw/a", "1")
    assert gateway.get("python/gw/a") == [b"1"]
    assert gateway.create("python/gw/b", "2") and not gateway.create("python/gw/b", "3")
    assert gateway.replace("python/gw/b", "2", "4")
    found = [value for value, _ in gateway.get_prefix("python/gw/")]
    assert found == [b"1", b"4"], found
    assert client.get("python/gw/b")[0] == b"4", "one store behind both"
    assert gateway.delete("python/gw/a") and not gateway.get("python/gw/a")


def gateway_lease_watch_lock(client, gateway):
    granted = gateway.lease(ttl=60)
    gateway.put("python/gw/leased", "1", lease=granted)
    assert granted.keys() == [b"python/gw/leased"] and granted.ttl() <= 60
    assert granted.refresh() == 60
    events, cancel = gateway.watch_prefix("python/gw/")
    assert granted.revoke() is not False
    seen = queue.Queue()
    threading.Thread(target=lambda: [seen.put(event) for event in events], daemon=True).start()
    # What happened before the watch was there is not told: write until it is.
    for turn in range(PATIENCE * 10):
        client.put("python/gw/told", str(turn))
        try:
            event = seen.get(timeout=0.1)
            break
        except queue.Empty:
            continue
    assert event["kv"]["key"] in (b"python/gw/told", b"python/gw/leased"), event
    cancel()
    with gateway.lock("python-gw-lock", ttl=60) as held:
        assert held.is_acquired()
    assert gateway.status()["leader"]


CHECKS = [
    put_get_delete,
    txn,
    watch,
    lease,
    lock,
    maintenance,
    gateway_keys,
    gateway_lease_watch_lock,
]


def main():
    endpoint = os.environ.get("PORTUNUS_ENDPOINT")
    if not endpoint:
        sys.exit("set PORTUNUS_ENDPOINT, e.g. http://127.0.0.1:2379")
    at = urllib.parse.urlparse(endpoint)
    client = etcd3.client(host=at.hostname, port=at.port, timeout=PATIENCE)
    gateway = etcd3gw.client(host=at.hostname, port=at.port, timeout=PATIENCE, api_path="/v3/")
    failed = False
    for check in CHECKS:
        try:
            check(client, gateway)
            print("ok  ", check.__name__)
        except Exception as problem:  # noqa: BLE001: whatever it is, the check failed
            print("FAIL", check.__name__, type(problem).__name__, problem)
            failed = True
    sys.exit(failed)


if __name__ == "__main__":
    main()
