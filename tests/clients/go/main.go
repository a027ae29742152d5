// Command clients uses etcd's own Go client as its users do, against the server whose endpoint
// PORTUNUS_ENDPOINT names. It ends with a failure at the first thing that is not as with etcd.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.etcd.io/etcd/client/v3/namespace"
	"go.etcd.io/etcd/client/v3/naming/endpoints"
	"go.etcd.io/etcd/client/v3/ordering"
	"google.golang.org/grpc"
)

// patience is reached only when an answer is missing.
const patience = 30 * time.Second

type check struct {
	name string
	run  func(context.Context, *clientv3.Client) error
}

func main() {
	endpoint := os.Getenv("PORTUNUS_ENDPOINT")
	if endpoint == "" {
		fmt.Fprintln(os.Stderr, "set PORTUNUS_ENDPOINT, e.g. http://127.0.0.1:2379")
		os.Exit(2)
	}
	client, err := clientv3.New(clientv3.Config{
		Endpoints:   strings.Split(endpoint, ","),
		DialTimeout: 5 * time.Second,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "connect:", err)
		os.Exit(1)
	}
	defer client.Close()
	if len(os.Args) == 5 && os.Args[1] == "contend" {
		ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
		defer cancel()
		if err := contend(ctx, client, os.Args[2], os.Args[3], os.Args[4]); err != nil {
			fmt.Println("FAIL", err)
			os.Exit(1)
		}
		return
	}
	checks := []check{
		{"put, get, delete", putGetDelete}, {"range options", rangeOptions},
		{"range stream", rangeStream}, {"txn", txn}, {"compaction", compaction},
		{"watch", watch}, {"watch progress", watchProgress}, {"lease", lease},
		{"lease expiry", leaseExpiry}, {"mutex", mutex}, {"election", election}, {"stm", stm},
		{"naming", naming}, {"namespace and ordering", namespaced}, {"cluster", cluster},
		{"maintenance", maintenance}, {"require leader", requireLeader},
		{"a URL as authority", urlAsAuthority},
	}
	failed := false
	for _, check := range checks {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		if err := check.run(ctx, client); err != nil {
			fmt.Printf("FAIL %s: %v\n", check.name, err)
			failed = true
		} else {
			fmt.Printf("ok   %s\n", check.name)
		}
		cancel()
	}
	if failed {
		os.Exit(1)
	}
}

// fresh removes what an earlier run left below a prefix.
func fresh(ctx context.Context, c *clientv3.Client, prefix string) error {
	_, err := c.Delete(ctx, prefix, clientv3.WithPrefix())
	return err
}

func want[T comparable](what string, got, expected T) error {
	if got != expected {
		return fmt.Errorf("%s is %v, not %v", what, got, expected)
	}
	return nil
}

func putGetDelete(ctx context.Context, c *clientv3.Client) error {
	if err := fresh(ctx, c, "kv/"); err != nil {
		return err
	}
	first, err := c.Put(ctx, "kv/a", "1")
	if err != nil {
		return err
	}
	second, err := c.Put(ctx, "kv/a", "2", clientv3.WithPrevKV())
	if err != nil {
		return err
	}
	got, err := c.Get(ctx, "kv/a")
	if err != nil {
		return err
	}
	old, err := c.Get(ctx, "kv/a", clientv3.WithRev(first.Header.Revision))
	if err != nil {
		return err
	}
	deleted, err := c.Delete(ctx, "kv/a", clientv3.WithPrevKV())
	if err != nil {
		return err
	}
	_, refused := c.Put(ctx, "", "v")
	return errors.Join(
		want("revision", second.Header.Revision, first.Header.Revision+1),
		want("previous value", string(second.PrevKv.Value), "1"),
		want("value", string(got.Kvs[0].Value), "2"),
		want("version", got.Kvs[0].Version, 2),
		want("old value", string(old.Kvs[0].Value), "1"),
		want("deleted", deleted.Deleted, 1),
		want("deleted value", string(deleted.PrevKvs[0].Value), "2"),
		want("refusal", errors.Is(refused, rpctypes.ErrEmptyKey), true),
	)
}

func rangeOptions(ctx context.Context, c *clientv3.Client) error {
	if err := fresh(ctx, c, "range/"); err != nil {
		return err
	}
	for n, value := range []string{"b", "c", "a"} {
		if _, err := c.Put(ctx, fmt.Sprintf("range/%d", n), value); err != nil {
			return err
		}
	}
	sorted, err := c.Get(ctx, "range/", clientv3.WithPrefix(), clientv3.WithLimit(2),
		clientv3.WithSort(clientv3.SortByValue, clientv3.SortDescend))
	if err != nil {
		return err
	}
	counted, err := c.Get(ctx, "range/", clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return err
	}
	keys, err := c.Get(ctx, "range/1", clientv3.WithFromKey(), clientv3.WithKeysOnly(),
		clientv3.WithLimit(1), clientv3.WithSerializable())
	if err != nil {
		return err
	}
	last, err := c.Get(ctx, "range/", clientv3.WithLastRev()...)
	if err != nil {
		return err
	}
	return errors.Join(
		want("first by value", string(sorted.Kvs[0].Value), "c"),
		want("more", sorted.More, true), want("count", sorted.Count, 3),
		want("counted", counted.Count, 3), want("kvs of a count", len(counted.Kvs), 0),
		want("first key", string(keys.Kvs[0].Key), "range/1"),
		want("value of a key only", len(keys.Kvs[0].Value), 0),
		want("last revision", string(last.Kvs[0].Key), "range/2"),
	)
}

func rangeStream(ctx context.Context, c *clientv3.Client) error {
	if err := fresh(ctx, c, "stream/"); err != nil {
		return err
	}
	for n := range 50 {
		if _, err := c.Put(ctx, fmt.Sprintf("stream/%02d", n), "v"); err != nil {
			return err
		}
	}
	pieces, err := c.GetStream(ctx, "stream/", clientv3.WithPrefix())
	if err != nil {
		return err
	}
	whole, err := clientv3.GetStreamToGetResponse(pieces)
	if err != nil {
		return err
	}
	return errors.Join(want("streamed keys", len(whole.Kvs), 50), want("count", whole.Count, 50))
}

func txn(ctx context.Context, c *clientv3.Client) error {
	if err := fresh(ctx, c, "txn/"); err != nil {
		return err
	}
	create := func() (*clientv3.TxnResponse, error) {
		return c.Txn(ctx).
			If(clientv3.Compare(clientv3.CreateRevision("txn/a"), "=", 0)).
			Then(clientv3.OpPut("txn/a", "1"), clientv3.OpGet("txn/a")).
			Else(clientv3.OpGet("txn/a"), clientv3.OpTxn(
				[]clientv3.Cmp{clientv3.Compare(clientv3.Value("txn/a"), "=", "1")},
				[]clientv3.Op{clientv3.OpPut("txn/b", "2")}, nil)).
			Commit()
	}
	made, err := create()
	if err != nil {
		return err
	}
	found, err := create()
	if err != nil {
		return err
	}
	_, refused := c.Txn(ctx).Then(clientv3.OpPut("txn/a", "1"), clientv3.OpPut("txn/a", "2")).Commit()
	return errors.Join(
		want("made", made.Succeeded, true),
		want("own write", string(made.Responses[1].GetResponseRange().Kvs[0].Value), "1"),
		want("found", found.Succeeded, false),
		want("nested", found.Responses[1].GetResponseTxn().Succeeded, true),
		want("refusal", errors.Is(refused, rpctypes.ErrDuplicateKey), true),
	)
}

func compaction(ctx context.Context, c *clientv3.Client) error {
	put, err := c.Put(ctx, "compact", "1")
	if err != nil {
		return err
	}
	if _, err := c.Put(ctx, "compact", "2"); err != nil {
		return err
	}
	if _, err := c.Compact(ctx, put.Header.Revision+1, clientv3.WithCompactPhysical()); err != nil {
		return err
	}
	_, past := c.Get(ctx, "compact", clientv3.WithRev(put.Header.Revision))
	_, future := c.Get(ctx, "compact", clientv3.WithRev(put.Header.Revision+1000))
	told := <-c.Watch(ctx, "compact", clientv3.WithRev(put.Header.Revision))
	return errors.Join(
		want("past", errors.Is(past, rpctypes.ErrCompacted), true),
		want("future", errors.Is(future, rpctypes.ErrFutureRev), true),
		want("watch", errors.Is(told.Err(), rpctypes.ErrCompacted), true),
		want("compact revision", told.CompactRevision, put.Header.Revision+1),
	)
}

func watch(ctx context.Context, c *clientv3.Client) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := fresh(ctx, c, "watch/"); err != nil {
		return err
	}
	put, err := c.Put(ctx, "watch/a", "1")
	if err != nil {
		return err
	}
	events := c.Watch(ctx, "watch/", clientv3.WithPrefix(), clientv3.WithPrevKV(),
		clientv3.WithRev(put.Header.Revision))
	deletes := c.Watch(ctx, "watch/", clientv3.WithPrefix(), clientv3.WithFilterPut(),
		clientv3.WithRev(put.Header.Revision))
	if _, err := c.Put(ctx, "watch/a", "2"); err != nil {
		return err
	}
	if _, err := c.Delete(ctx, "watch/a"); err != nil {
		return err
	}
	var seen []string
	for len(seen) < 3 {
		told, open := <-events
		if !open || told.Err() != nil {
			return fmt.Errorf("after %v: %w", seen, errors.Join(told.Err(), ctx.Err()))
		}
		for _, event := range told.Events {
			line := event.Type.String() + " " + string(event.Kv.Value)
			if event.PrevKv != nil {
				line += " was " + string(event.PrevKv.Value)
			}
			seen = append(seen, line)
		}
	}
	deleted := <-deletes
	if err := deleted.Err(); err != nil || len(deleted.Events) != 1 {
		return fmt.Errorf("filtered: %v %w", deleted.Events, err)
	}
	return errors.Join(
		want("events", strings.Join(seen, ", "), "PUT 1, PUT 2 was 1, DELETE  was 2"),
		want("filtered", deleted.Events[0].Type, clientv3.EventTypeDelete),
	)
}

func watchProgress(ctx context.Context, c *clientv3.Client) error {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	events := c.Watch(ctx, "progress", clientv3.WithCreatedNotify())
	if created := <-events; !created.Created {
		return fmt.Errorf("not created: %v", created)
	}
	put, err := c.Put(ctx, "elsewhere", "1")
	if err != nil {
		return err
	}
	for {
		if err := c.RequestProgress(ctx); err != nil {
			return err
		}
		told, open := <-events
		if !open || !told.IsProgressNotify() {
			return fmt.Errorf("not a progress notification: %v", told)
		}
		if told.Header.Revision >= put.Header.Revision {
			return nil
		}
	}
}

func lease(ctx context.Context, c *clientv3.Client) error {
	granted, err := c.Grant(ctx, 60)
	if err != nil {
		return err
	}
	if _, err := c.Put(ctx, "lease/a", "1", clientv3.WithLease(granted.ID)); err != nil {
		return err
	}
	alive, err := c.KeepAlive(ctx, granted.ID)
	if err != nil {
		return err
	}
	kept := <-alive
	once, err := c.KeepAliveOnce(ctx, granted.ID)
	if err != nil {
		return err
	}
	left, err := c.TimeToLive(ctx, granted.ID, clientv3.WithAttachedKeys())
	if err != nil {
		return err
	}
	all, err := c.Leases(ctx)
	if err != nil {
		return err
	}
	listed := false
	for _, one := range all.Leases {
		listed = listed || one.ID == granted.ID
	}
	if _, err := c.Revoke(ctx, granted.ID); err != nil {
		return err
	}
	gone, err := c.Get(ctx, "lease/a")
	if err != nil {
		return err
	}
	_, again := c.Revoke(ctx, granted.ID)
	_, dead := c.KeepAliveOnce(ctx, granted.ID)
	return errors.Join(
		want("kept", kept.TTL, 60), want("kept once", once.TTL, 60),
		want("granted", left.GrantedTTL, 60), want("keys", string(left.Keys[0]), "lease/a"),
		want("listed", listed, true), want("keys after revoke", gone.Count, 0),
		want("second revoke", errors.Is(again, rpctypes.ErrLeaseNotFound), true),
		want("keep-alive of a dead lease", errors.Is(dead, rpctypes.ErrLeaseNotFound), true),
	)
}

func leaseExpiry(ctx context.Context, c *clientv3.Client) error {
	granted, err := c.Grant(ctx, 1)
	if err != nil {
		return err
	}
	put, err := c.Put(ctx, "expiry/a", "1", clientv3.WithLease(granted.ID))
	if err != nil {
		return err
	}
	told := <-c.Watch(ctx, "expiry/a", clientv3.WithRev(put.Header.Revision+1))
	if err := told.Err(); err != nil || len(told.Events) != 1 {
		return fmt.Errorf("%v %w", told.Events, err)
	}
	return want("event", told.Events[0].Type, clientv3.EventTypeDelete)
}

func mutex(ctx context.Context, c *clientv3.Client) error {
	counter, overlaps := 0, 0
	done := make(chan error)
	held := false
	worker := func() error {
		session, err := concurrency.NewSession(c, concurrency.WithTTL(10))
		if err != nil {
			return err
		}
		defer session.Close()
		mutex := concurrency.NewMutex(session, "mutex/")
		for range 5 {
			if err := mutex.Lock(ctx); err != nil {
				return err
			}
			// Guarded by the mutex under test alone.
			if held {
				overlaps++
			}
			held = true
			counter++
			held = false
			if err := mutex.Unlock(ctx); err != nil {
				return err
			}
		}
		return nil
	}
	for range 4 {
		go func() { done <- worker() }()
	}
	var failures []error
	for range 4 {
		failures = append(failures, <-done)
	}
	session, err := concurrency.NewSession(c)
	if err != nil {
		return err
	}
	defer session.Close()
	other, err := concurrency.NewSession(c)
	if err != nil {
		return err
	}
	defer other.Close()
	if err := concurrency.NewMutex(session, "try/").Lock(ctx); err != nil {
		return err
	}
	locked := concurrency.NewMutex(other, "try/").TryLock(ctx)
	return errors.Join(append(failures, want("counter", counter, 20), want("overlaps", overlaps, 0),
		want("try", errors.Is(locked, concurrency.ErrLocked), true))...)
}

func election(ctx context.Context, c *clientv3.Client) error {
	first, err := concurrency.NewSession(c)
	if err != nil {
		return err
	}
	second, err := concurrency.NewSession(c)
	if err != nil {
		return err
	}
	defer second.Close()
	one, two := concurrency.NewElection(first, "elect/"), concurrency.NewElection(second, "elect/")
	if err := one.Campaign(ctx, "one"); err != nil {
		return err
	}
	observed := two.Observe(ctx)
	led := <-observed
	won := make(chan error)
	go func() { won <- two.Campaign(ctx, "two") }()
	if err := one.Proclaim(ctx, "one again"); err != nil {
		return err
	}
	// The first one's session ends: the lease and its key go, and the second one leads.
	if err := first.Close(); err != nil {
		return err
	}
	if err := <-won; err != nil {
		return err
	}
	leader, err := two.Leader(ctx)
	if err != nil {
		return err
	}
	if err := two.Resign(ctx); err != nil {
		return err
	}
	_, none := two.Leader(ctx)
	return errors.Join(want("first leader", string(led.Kvs[0].Value), "one"),
		want("second leader", string(leader.Kvs[0].Value), "two"),
		want("none", errors.Is(none, concurrency.ErrElectionNoLeader), true))
}

func stm(ctx context.Context, c *clientv3.Client) error {
	if err := fresh(ctx, c, "stm/"); err != nil {
		return err
	}
	done := make(chan error)
	for range 4 {
		go func() {
			for range 5 {
				_, err := concurrency.NewSTM(c, func(s concurrency.STM) error {
					s.Put("stm/a", s.Get("stm/a")+"x")
					return nil
				}, concurrency.WithAbortContext(ctx))
				if err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	var failures []error
	for range 4 {
		failures = append(failures, <-done)
	}
	got, err := c.Get(ctx, "stm/a")
	if err != nil {
		return err
	}
	return errors.Join(append(failures, want("increments", len(got.Kvs[0].Value), 20))...)
}

func naming(ctx context.Context, c *clientv3.Client) error {
	if err := fresh(ctx, c, "service/"); err != nil {
		return err
	}
	manager, err := endpoints.NewManager(c, "service")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	updates, err := manager.NewWatchChannel(ctx)
	if err != nil {
		return err
	}
	if err := manager.AddEndpoint(ctx, "service/a", endpoints.Endpoint{Addr: "10.0.0.1:1"}); err != nil {
		return err
	}
	added := <-updates
	listed, err := manager.List(ctx)
	if err != nil {
		return err
	}
	if err := manager.DeleteEndpoint(ctx, "service/a"); err != nil {
		return err
	}
	deleted := <-updates
	return errors.Join(want("added", added[0].Op, endpoints.Add),
		want("listed", listed["service/a"].Addr, "10.0.0.1:1"),
		want("deleted", deleted[0].Op, endpoints.Delete))
}

func namespaced(ctx context.Context, c *clientv3.Client) error {
	kv := ordering.NewKV(namespace.NewKV(c.KV, "space/"), ordering.NewOrderViolationSwitchEndpointClosure(c))
	if _, err := kv.Put(ctx, "a", "1"); err != nil {
		return err
	}
	inside, err := kv.Get(ctx, "a")
	if err != nil {
		return err
	}
	outside, err := c.Get(ctx, "space/a")
	if err != nil {
		return err
	}
	return errors.Join(want("inside", string(inside.Kvs[0].Key), "a"),
		want("outside", string(outside.Kvs[0].Key), "space/a"))
}

func cluster(ctx context.Context, c *clientv3.Client) error {
	members, err := c.MemberList(ctx)
	if err != nil {
		return err
	}
	if len(members.Members) == 0 || members.Members[0].Name == "" {
		return fmt.Errorf("members: %v", members.Members)
	}
	if err := c.Sync(ctx); err != nil {
		return err
	}
	_, err = c.Get(ctx, "after the sync")
	return err
}

func maintenance(ctx context.Context, c *clientv3.Client) error {
	endpoint := c.Endpoints()[0]
	status, err := c.Status(ctx, endpoint)
	if err != nil {
		return err
	}
	hash, err := c.HashKV(ctx, endpoint, 0)
	if err != nil {
		return err
	}
	if _, err := c.Defragment(ctx, endpoint); err != nil {
		return err
	}
	alarms, err := c.AlarmList(ctx)
	if err != nil {
		return err
	}
	return errors.Join(want("a leader", status.Leader != 0, true),
		want("a version", strings.HasPrefix(status.Version, "3."), true),
		want("hashed revision", hash.HashRevision > 0, true),
		want("alarms", len(alarms.Alarms), 0))
}

func requireLeader(ctx context.Context, c *clientv3.Client) error {
	_, err := c.Get(clientv3.WithRequireLeader(ctx), "any")
	return err
}

// urlAsAuthority sends what etcdctl 3.4 sends for "endpoint status".
func urlAsAuthority(ctx context.Context, c *clientv3.Client) error {
	other, err := clientv3.New(clientv3.Config{
		Endpoints:   c.Endpoints(),
		DialTimeout: 5 * time.Second,
		DialOptions: []grpc.DialOption{grpc.WithAuthority("http://127.0.0.1:2379")},
	})
	if err != nil {
		return err
	}
	defer other.Close()
	for range 3 {
		if _, err := other.Status(ctx, c.Endpoints()[0]); err != nil {
			return err
		}
		if _, err := other.Put(ctx, "authority", "1"); err != nil {
			return err
		}
	}
	return nil
}
