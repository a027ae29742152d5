// Uses the npm package `etcd3` as its users do, against the server that PORTUNUS_ENDPOINT names.
// Ends with a failure at the first answer that is not as etcd's.
"use strict";

const assert = require("node:assert/strict");
const { once } = require("node:events");
const { Etcd3, EtcdLeaseInvalidError } = require("etcd3");

// Reached only when an answer is missing.
const PATIENCE_MS = 30_000;

async function putGetDelete(client) {
  const space = client.namespace("node/");
  await space.delete().all();
  await space.put("a").value("1");
  await space.put("b").value(2);
  assert.equal(await space.get("a").string(), "1");
  assert.equal(await space.get("b").number(), 2);
  assert.equal(await space.get("none").string(), null);
  assert.deepEqual(await space.getAll().strings(), { a: "1", b: "2" });
  assert.deepEqual(await space.getAll().sort("Key", "Descend").keys(), ["b", "a"]);
  assert.equal(await space.getAll().count(), 2);
  const gone = await space.delete().key("a").getPrevious();
  assert.deepEqual(gone.map((kv) => kv.value.toString()), ["1"]);
}

async function transactions(client) {
  await client.put("node/txn").value("old");
  const swap = (from, to) =>
    client
      .if("node/txn", "Value", "==", from)
      .then(client.put("node/txn").value(to))
      .else(client.get("node/txn"))
      .commit();
  assert.equal((await swap("old", "new")).succeeded, true);
  const lost = await swap("old", "newer");
  assert.equal(lost.succeeded, false);
  assert.equal(lost.responses[0].response_range.kvs[0].value.toString(), "new");
  await client.stm().transact(async (tx) => {
    await tx.put("node/txn").value((await tx.get("node/txn").string()) + "er");
  });
  assert.equal(await client.get("node/txn").string(), "newer");
}

async function watches(client) {
  const watcher = await client.watch().prefix("node/watched/").create();
  const put = once(watcher, "put");
  await client.put("node/watched/a").value("1");
  assert.equal((await put)[0].value.toString(), "1");
  const deleted = once(watcher, "delete");
  await client.delete().key("node/watched/a");
  assert.equal((await deleted)[0].key.toString(), "node/watched/a");
  await watcher.cancel();
}

async function leases(client) {
  const lease = client.lease(60, { autoKeepAlive: false });
  await lease.put("node/leased").value("1");
  assert.equal(await client.get("node/leased").string(), "1");
  await lease.keepaliveOnce();
  await lease.revoke();
  assert.equal(await client.get("node/leased").string(), null);
  await assert.rejects(
    client.put("node/leased").value("1").lease("123456"),
    (error) => error instanceof EtcdLeaseInvalidError || /lease not found/.test(error.message),
  );
}

async function locks(client) {
  const holder = client.lock("node-lock").ttl(60);
  await holder.acquire();
  await assert.rejects(client.lock("node-lock").ttl(60).acquire());
  await holder.release();
  assert.equal(await client.lock("node-lock").ttl(60).do(() => "done"), "done");
}

async function elections(client) {
  const election = client.election("node-seat", 60);
  const campaign = election.campaign("first");
  await once(campaign, "elected");
  assert.equal(await election.leader(), "first");
  const observer = await election.observe();
  await campaign.proclaim("second");
  while (observer.leader() !== "second") {
    await once(observer, "change");
  }
  await campaign.resign();
  await observer.cancel();
}

async function maintenance(client) {
  const status = await client.maintenance.status();
  assert.notEqual(status.leader, "0");
  assert.ok((await client.cluster.memberList({})).members.length > 0);
}

async function main() {
  const endpoint = process.env.PORTUNUS_ENDPOINT;
  if (!endpoint) {
    console.error("set PORTUNUS_ENDPOINT, e.g. http://127.0.0.1:2379");
    process.exit(2);
  }
  const client = new Etcd3({ hosts: endpoint.split(",") });
  const checks = [putGetDelete, transactions, watches, leases, locks, elections, maintenance];
  let failed = false;
  for (const check of checks) {
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error("no answer")), PATIENCE_MS);
    });
    try {
      await Promise.race([check(client), late]);
      console.log("ok  ", check.name);
    } catch (problem) {
      console.log("FAIL", check.name, problem);
      failed = true;
    }
    clearTimeout(timer);
  }
  client.close();
  process.exit(failed ? 1 : 0);
}

main();
