package portunus;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.etcd.jetcd.ByteSequence;
import io.etcd.jetcd.Client;
import io.etcd.jetcd.Watch;
import io.etcd.jetcd.lease.LeaseKeepAliveResponse;
import io.etcd.jetcd.op.Cmp;
import io.etcd.jetcd.op.CmpTarget;
import io.etcd.jetcd.op.Op;
import io.etcd.jetcd.options.DeleteOption;
import io.etcd.jetcd.options.GetOption;
import io.etcd.jetcd.options.LeaseOption;
import io.etcd.jetcd.options.PutOption;
import io.etcd.jetcd.options.WatchOption;
import io.etcd.jetcd.support.CloseableClient;
import io.etcd.jetcd.watch.WatchEvent;
import io.etcd.jetcd.watch.WatchResponse;
import io.grpc.stub.StreamObserver;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * Uses jetcd as its users do, against the server whose endpoint PORTUNUS_ENDPOINT names. Ends with
 * a failure at the first thing that is not as with etcd.
 */
public final class Clients {
  /** Reached only when an answer is missing. */
  private static final long PATIENCE_SECONDS = 30;

  private interface Check {
    void run(Client client) throws Exception;
  }

  public static void main(String[] args) {
    String endpoint = System.getenv("PORTUNUS_ENDPOINT");
    if (endpoint == null) {
      System.err.println("set PORTUNUS_ENDPOINT, e.g. http://127.0.0.1:2379");
      System.exit(2);
    }
    if (args.length == 4 && args[0].equals("contend")) {
      System.exit(Interop.contend(endpoint.split(","), args[1], args[2], args[3]));
    }
    Map<String, Check> checks = new LinkedHashMap<>();
    checks.put("put, get, delete", Clients::putGetDelete);
    checks.put("refusals", Clients::refusals);
    checks.put("txn", Clients::txn);
    checks.put("watch", Clients::watch);
    checks.put("lease", Clients::lease);
    checks.put("cluster and maintenance", Clients::clusterAndMaintenance);
    boolean failed = false;
    try (Client client = Client.builder().endpoints(endpoint.split(",")).build()) {
      for (Map.Entry<String, Check> check : checks.entrySet()) {
        try {
          check.getValue().run(client);
          System.out.println("ok   " + check.getKey());
        } catch (Exception | AssertionError problem) {
          System.out.println("FAIL " + check.getKey() + ": " + problem);
          failed = true;
        }
      }
    }
    System.exit(failed ? 1 : 0);
  }

  private static void putGetDelete(Client client) throws Exception {
    var kv = client.getKVClient();
    DeleteOption below = DeleteOption.builder().isPrefix(true).build();
    await(kv.delete(bytes("java/"), below));
    long first = await(kv.put(bytes("java/a"), bytes("1"))).getHeader().getRevision();
    PutOption withPrevious = PutOption.builder().withPrevKV().build();
    var second = await(kv.put(bytes("java/a"), bytes("2"), withPrevious));
    want("revision", second.getHeader().getRevision(), first + 1);
    want("previous value", text(second.getPrevKv().getValue()), "1");
    await(kv.put(bytes("java/b"), bytes("3")));
    GetOption sorted =
        GetOption.builder()
            .isPrefix(true)
            .withSortField(GetOption.SortTarget.VALUE)
            .withSortOrder(GetOption.SortOrder.DESCEND)
            .withLimit(1)
            .build();
    var found = await(kv.get(bytes("java/"), sorted));
    want("first by value", text(found.getKvs().get(0).getKey()), "java/b");
    want("more", found.isMore(), true);
    want("count", found.getCount(), 2L);
    var then = await(kv.get(bytes("java/a"), GetOption.builder().withRevision(first).build()));
    want("value of then", text(then.getKvs().get(0).getValue()), "1");
    want("deleted", await(kv.delete(bytes("java/"), below)).getDeleted(), 2L);
  }

  private static void refusals(Client client) throws Exception {
    var kv = client.getKVClient();
    refused("key is not provided", kv.put(bytes(""), bytes("v")));
    PutOption leased = PutOption.builder().withLeaseId(424242).build();
    refused("requested lease not found", kv.put(bytes("java/x"), bytes("v"), leased));
    GetOption future = GetOption.builder().withRevision(Long.MAX_VALUE).build();
    refused("required revision is a future revision", kv.get(bytes("java/x"), future));
  }

  private static void txn(Client client) throws Exception {
    var kv = client.getKVClient();
    ByteSequence key = bytes("java/txn");
    await(kv.delete(key));
    for (boolean expected : new boolean[] {true, false}) {
      var answer =
          await(
              kv.txn()
                  .If(new Cmp(key, Cmp.Op.EQUAL, CmpTarget.version(0)))
                  .Then(Op.put(key, bytes("made"), PutOption.DEFAULT))
                  .Else(Op.get(key, GetOption.DEFAULT))
                  .commit());
      want("succeeded", answer.isSucceeded(), expected);
      if (!expected) {
        var kvs = answer.getGetResponses().get(0).getKvs();
        want("value", text(kvs.get(0).getValue()), "made");
      }
    }
  }

  private static void watch(Client client) throws Exception {
    var kv = client.getKVClient();
    long from = await(kv.put(bytes("java/watch/a"), bytes("1"))).getHeader().getRevision();
    WatchOption option =
        WatchOption.builder().isPrefix(true).withRevision(from).withPrevKV(true).build();
    BlockingQueue<WatchResponse> answers = new LinkedBlockingQueue<>();
    try (Watch.Watcher watcher =
        client.getWatchClient().watch(bytes("java/watch/"), option, answers::add)) {
      await(kv.put(bytes("java/watch/a"), bytes("2")));
      await(kv.delete(bytes("java/watch/a")));
      List<String> seen = new ArrayList<>();
      while (seen.size() < 3) {
        WatchResponse answer = answers.poll(PATIENCE_SECONDS, TimeUnit.SECONDS);
        Objects.requireNonNull(answer, "an event is missing after " + seen);
        for (WatchEvent event : answer.getEvents()) {
          seen.add(event.getEventType() + " " + text(event.getKeyValue().getValue()));
        }
      }
      want("events", seen, List.of("PUT 1", "PUT 2", "DELETE "));
    }
  }

  private static void lease(Client client) throws Exception {
    var leases = client.getLeaseClient();
    var kv = client.getKVClient();
    long id = await(leases.grant(60)).getID();
    ByteSequence key = bytes("java/lease");
    await(kv.put(key, bytes("v"), PutOption.builder().withLeaseId(id).build()));
    CompletableFuture<LeaseKeepAliveResponse> kept = new CompletableFuture<>();
    StreamObserver<LeaseKeepAliveResponse> observer =
        new StreamObserver<>() {
          @Override
          public void onNext(LeaseKeepAliveResponse answer) {
            kept.complete(answer);
          }

          @Override
          public void onError(Throwable problem) {
            kept.completeExceptionally(problem);
          }

          @Override
          public void onCompleted() {}
        };
    try (CloseableClient renewing = leases.keepAlive(id, observer)) {
      want("kept", await(kept).getTTL(), 60L);
    }
    want("kept once", await(leases.keepAliveOnce(id)).getTTL(), 60L);
    var left = await(leases.timeToLive(id, LeaseOption.builder().withAttachedKeys().build()));
    want("granted", left.getGrantedTTL(), 60L);
    want("attached", text(left.getKeys().get(0)), "java/lease");
    await(leases.revoke(id));
    want("keys after revoke", await(kv.get(key)).getCount(), 0L);
    refused("requested lease not found", leases.revoke(id));
  }

  private static void clusterAndMaintenance(Client client) throws Exception {
    var members = await(client.getClusterClient().listMember()).getMembers();
    want("named", members.get(0).getName().isEmpty(), false);
    var url = members.get(0).getClientURIs().get(0).toString();
    var status = await(client.getMaintenanceClient().statusMember(url));
    want("version", status.getVersion().startsWith("3."), true);
    want("alarms", await(client.getMaintenanceClient().listAlarms()).getAlarms().size(), 0);
    await(client.getMaintenanceClient().defragmentMember(url));
    await(client.getMaintenanceClient().hashKV(url, 0));
  }

  private static <T> T await(CompletableFuture<T> answer) throws Exception {
    return answer.get(PATIENCE_SECONDS, TimeUnit.SECONDS);
  }

  private static void refused(String reason, CompletableFuture<?> answer) throws Exception {
    try {
      Object taken = await(answer);
      throw new AssertionError("taken, not refused with " + reason + ": " + taken);
    } catch (ExecutionException refusal) {
      String text = String.valueOf(refusal.getCause().getMessage());
      want("refusal " + text, text.contains(reason), true);
    }
  }

  private static void want(String what, Object got, Object expected) {
    if (!Objects.equals(got, expected)) {
      throw new AssertionError(what + " is " + got + ", not " + expected);
    }
  }

  private static ByteSequence bytes(String text) {
    return ByteSequence.from(text, UTF_8);
  }

  private static String text(ByteSequence bytes) {
    return bytes.toString(UTF_8);
  }

  private Clients() {}
}
