package portunus;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static portunus.StoryTest.await;
import static portunus.StoryTest.bytes;
import static portunus.StoryTest.text;

import io.etcd.jetcd.ByteSequence;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Elections, which jetcd 0.3.0 does not have. */
final class ElectionTest {
  @BeforeAll
  static void connect() {
    StoryTest.connect();
  }

  @AfterAll
  static void disconnect() {
    StoryTest.disconnect();
  }

  @Test
  void oneLeadsAndTheNextFollowsWhenItResigns() throws Exception {
    var leases = StoryTest.client.getLeaseClient();
    var elections = StoryTest.client.getElectionClient();
    ByteSequence seat = bytes("story/seat");
    long one = await(leases.grant(60)).getID();
    long two = await(leases.grant(60)).getID();
    var leader = await(elections.campaign(seat, one, bytes("one"))).getLeader();
    assertEquals("one", text(await(elections.leader(seat)).getKv().getValue()));
    var next = elections.campaign(seat, two, bytes("two"));
    await(elections.proclaim(leader, bytes("still one")));
    assertEquals("still one", text(await(elections.leader(seat)).getKv().getValue()));
    await(elections.resign(leader));
    await(elections.resign(await(next).getLeader()));
    await(leases.revoke(one));
    await(leases.revoke(two));
  }
}
