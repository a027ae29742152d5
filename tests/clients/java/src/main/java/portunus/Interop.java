package portunus;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.etcd.jetcd.ByteSequence;
import io.etcd.jetcd.Client;
import io.etcd.jetcd.op.Cmp;
import io.etcd.jetcd.op.CmpTarget;
import io.etcd.jetcd.op.Op;
import io.etcd.jetcd.options.GetOption;
import io.etcd.jetcd.options.PutOption;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/**
 * Takes the lock or the seat of a name so often, in a line with clients in other languages, each
 * time to sign a text that nothing but the name protects.
 */
final class Interop {
  /** Reached only when an answer is missing: the line may be long. */
  private static final long PATIENCE_SECONDS = 120;

  private static final long TTL_SECONDS = 30;

  static int contend(String[] endpoints, String how, String name, String rounds) {
    try (Client client = Client.builder().endpoints(endpoints).build()) {
      int count = Integer.parseInt(rounds);
      for (int round = 0; round < count; round++) {
        // A lease for each round: a place in line belongs to its lease.
        long lease = await(client.getLeaseClient().grant(TTL_SECONDS)).getID();
        try {
          if (how.equals("lock")) {
            underLock(client, name, lease);
          } else {
            asLeader(client, name, lease);
          }
        } finally {
          await(client.getLeaseClient().revoke(lease));
        }
      }
      System.out.println("jetcd: " + count + " times " + how + " of " + name);
      return 0;
    } catch (Exception problem) {
      System.out.println("FAIL " + problem);
      return 1;
    }
  }

  private static void underLock(Client client, String name, long lease) throws Exception {
    ByteSequence key = await(client.getLockClient().lock(bytes(name), lease)).getKey();
    String expected = name + "/" + Long.toHexString(lease);
    if (!text(key).equals(expected)) {
      throw new IllegalStateException("the key is " + text(key) + ", not " + expected);
    }
    sign(client, name);
    await(client.getLockClient().unlock(key));
  }

  private static void asLeader(Client client, String name, long lease) throws Exception {
    var elections = client.getElectionClient();
    var seat = await(elections.campaign(bytes(name), lease, bytes("jetcd"))).getLeader();
    var seen = await(elections.leader(bytes(name))).getKv();
    if (!seen.getKey().equals(seat.getKey()) || !text(seen.getValue()).equals("jetcd")) {
      throw new IllegalStateException("another leads: " + seen);
    }
    sign(client, name);
    await(elections.resign(seat));
  }

  /**
   * Adds a letter to a text, reading and writing it in two calls: two who do so at once lose one of
   * the letters, and the second of them sees the mark of the first.
   */
  private static void sign(Client client, String name) throws Exception {
    var kv = client.getKVClient();
    ByteSequence mark = bytes(name + ".mark");
    ByteSequence signed = bytes(name + ".signed");
    var entered =
        await(
            kv.txn()
                .If(new Cmp(mark, Cmp.Op.EQUAL, CmpTarget.createRevision(0)))
                .Then(Op.put(mark, bytes("jetcd"), PutOption.DEFAULT))
                .Else(Op.get(mark, GetOption.DEFAULT))
                .commit());
    if (!entered.isSucceeded()) {
      String other = text(entered.getGetResponses().get(0).getKvs().get(0).getValue());
      throw new IllegalStateException("two hold " + name + " at once: jetcd and " + other);
    }
    var found = await(kv.get(signed)).getKvs();
    String before = found.isEmpty() ? "" : text(found.get(0).getValue());
    await(kv.put(signed, bytes(before + "j")));
    await(kv.delete(mark));
  }

  private static <T> T await(CompletableFuture<T> answer) throws Exception {
    return answer.get(PATIENCE_SECONDS, TimeUnit.SECONDS);
  }

  private static ByteSequence bytes(String text) {
    return ByteSequence.from(text, UTF_8);
  }

  private static String text(ByteSequence bytes) {
    return bytes.toString(UTF_8);
  }

  private Interop() {}
}
