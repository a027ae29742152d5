package portunus;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.etcd.jetcd.ByteSequence;
import io.etcd.jetcd.Client;
import io.etcd.jetcd.KeyValue;
import io.etcd.jetcd.Lock;
import io.etcd.jetcd.Watch;
import io.etcd.jetcd.watch.WatchEvent;
import io.etcd.jetcd.watch.WatchResponse;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/**
 * jetcd as introductions to etcd show it, with calls that its first releases had, too: the same
 * program runs with 0.3.0 and the newest. PORTUNUS_ENDPOINT lists the endpoints, by commas.
 */
final class StoryTest {
  /** Reached only when an answer is missing. */
  private static final long PATIENCE_SECONDS = 30;

  static Client client;

  @BeforeAll
  static void connect() {
    String endpoints = System.getenv("PORTUNUS_ENDPOINT");
    assertNotNull(endpoints, "set PORTUNUS_ENDPOINT, e.g. http://127.0.0.1:2379");
    client = Client.builder().endpoints(endpoints.split(",")).build();
  }

  @AfterAll
  static void disconnect() {
    client.close();
  }

  @Test
  void whatIsPutIsFoundAndWhatIsDeletedIsGone() throws Exception {
    var kv = client.getKVClient();
    ByteSequence key = bytes("story/key");
    await(kv.put(key, bytes("value")));
    List<KeyValue> found = await(kv.get(key)).getKvs();
    assertEquals(1, found.size());
    assertEquals("value", text(found.get(0).getValue()));
    assertEquals(1, await(kv.delete(key)).getDeleted());
    assertEquals(0, await(kv.get(key)).getCount());
  }

  @Test
  void aLeaseIsKeptAliveAndItsEndIsFinal() throws Exception {
    var leases = client.getLeaseClient();
    long lease = await(leases.grant(60)).getID();
    assertEquals(60, await(leases.keepAliveOnce(lease)).getTTL());
    await(leases.revoke(lease));
    assertThrows(Exception.class, () -> await(leases.revoke(lease)));
  }

  @Test
  void aWatchTellsEveryPutAndDeleteInOrder() throws Exception {
    var kv = client.getKVClient();
    ByteSequence key = bytes("story/watched");
    BlockingQueue<WatchResponse> answers = new LinkedBlockingQueue<>();
    try (Watch.Watcher watcher = client.getWatchClient().watch(key, answers::add)) {
      assertNotNull(watcher);
      // What was written before the watch was there is not told: write until it is.
      WatchResponse first = null;
      for (int turn = 0; first == null && turn < PATIENCE_SECONDS * 10; turn++) {
        await(kv.put(key, bytes("early")));
        first = answers.poll(100, TimeUnit.MILLISECONDS);
      }
      assertNotNull(first, "the watch tells what is put");
      await(kv.put(key, bytes("late")));
      await(kv.delete(key));
      List<String> seen = new ArrayList<>();
      while (!seen.contains("DELETE ")) {
        WatchResponse answer = answers.poll(PATIENCE_SECONDS, TimeUnit.SECONDS);
        assertNotNull(answer, "an event is missing after " + seen);
        for (WatchEvent event : answer.getEvents()) {
          seen.add(event.getEventType() + " " + text(event.getKeyValue().getValue()));
        }
      }
      seen.removeIf("PUT early"::equals);
      assertEquals(List.of("PUT late", "DELETE "), seen);
    }
  }

  /** Two contenders for one resource, each under its lease, as the steps are usually given. */
  @Test
  void aLockIsHeldByOneUntilItUnlocksOrItsLeaseEnds() throws Exception {
    var leases = client.getLeaseClient();
    Lock locks = client.getLockClient();
    ByteSequence resource = bytes("story/resource");
    long first = await(leases.grant(60)).getID();
    ByteSequence held = await(locks.lock(resource, first)).getKey();
    assertEquals(60, await(leases.keepAliveOnce(first)).getTTL());

    long second = await(leases.grant(60)).getID();
    CompletableFuture<?> waiting = locks.lock(resource, second);
    assertThrows(TimeoutException.class, () -> waiting.get(300, TimeUnit.MILLISECONDS));
    waiting.cancel(true);
    // Not in time: its lease goes, and with it its place in the line.
    await(leases.revoke(second));

    long third = await(leases.grant(60)).getID();
    CompletableFuture<ByteSequence> next =
        locks.lock(resource, third).thenApply(answer -> answer.getKey());
    await(locks.unlock(held));
    ByteSequence own = await(next);
    assertFalse(own.equals(held), "a key of its own");
    assertEquals(1, await(client.getKVClient().get(own)).getCount());

    // The holder dies: its lease ends, and whoever waits has it.
    long fourth = await(leases.grant(60)).getID();
    var last = locks.lock(resource, fourth);
    await(leases.revoke(third));
    await(locks.unlock(await(last).getKey()));
    await(leases.revoke(first));
    await(leases.revoke(fourth));
  }

  static <T> T await(CompletableFuture<T> answer) throws Exception {
    return answer.get(PATIENCE_SECONDS, TimeUnit.SECONDS);
  }

  static ByteSequence bytes(String text) {
    return ByteSequence.from(text, UTF_8);
  }

  static String text(ByteSequence bytes) {
    return bytes.toString(UTF_8);
  }
}
