package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

// contend takes the lock or the seat of a name so often, in a line with clients in other
// languages, each time to sign a text that nothing but the name protects.
func contend(ctx context.Context, c *clientv3.Client, how, name, rounds string) error {
	count, err := strconv.Atoi(rounds)
	if err != nil {
		return err
	}
	session, err := concurrency.NewSession(c, concurrency.WithTTL(30))
	if err != nil {
		return err
	}
	defer session.Close()
	mutex, election := concurrency.NewMutex(session, name), concurrency.NewElection(session, name)
	for range count {
		switch how {
		case "lock":
			err = mutex.Lock(ctx)
		case "elect":
			err = election.Campaign(ctx, "go")
		default:
			err = fmt.Errorf("%s is neither lock nor elect", how)
		}
		if err != nil {
			return err
		}
		err = sign(ctx, c, name)
		if how == "lock" {
			err = errors.Join(err, mutex.Unlock(ctx))
		} else {
			err = errors.Join(err, election.Resign(ctx))
		}
		if err != nil {
			return err
		}
	}
	fmt.Printf("go: %d times %s of %s\n", count, how, name)
	return nil
}

// sign adds a letter to a text, reading and writing it in two calls: two who do so at once lose one
// of the letters, and the second of them sees the mark of the first.
func sign(ctx context.Context, c *clientv3.Client, name string) error {
	mark, signed := name+".mark", name+".signed"
	entered, err := c.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(mark), "=", 0)).
		Then(clientv3.OpPut(mark, "go"), clientv3.OpGet(signed)).Else(clientv3.OpGet(mark)).Commit()
	if err != nil {
		return err
	}
	if !entered.Succeeded {
		other := entered.Responses[0].GetResponseRange().Kvs[0]
		return fmt.Errorf("two hold %s at once: go and %s", name, other.Value)
	}
	before := ""
	for _, kv := range entered.Responses[1].GetResponseRange().Kvs {
		before = string(kv.Value)
	}
	if _, err := c.Put(ctx, signed, before+"g"); err != nil {
		return err
	}
	_, err = c.Delete(ctx, mark)
	return err
}
