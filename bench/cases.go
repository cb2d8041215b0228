package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/klauspost/compress/zstd"

	"github.com/microeventstore/microeventstore/dynamostore"

	mes "github.com/microeventstore/microeventstore"
)

// A benchCase is one path. The first side is ours, the others are what it is
// compared with; limit, if there is one, is the least of the work, done in a simple way.
type benchCase struct {
	against  []string
	sides    []side
	limit    string
	limiting side
	events   int // in one run
	floor    []float64
	aim      []float64
	allocs   float64 // the floor for allocations per event; 0 for none
	byRate   bool    // what is compared is events per second
	done     func()

	counts *dynamostore.Table // where the events are of a family: it knows how much was left to the SDK
}

// A bencher makes the cases.
type bencher struct {
	ctx           context.Context
	plain, secure string
	client        *dynamodb.Client
	fallbacks     map[string]*dynamostore.Table
}

func (b *bencher) newClient(url string) *dynamodb.Client {
	// The SDK's own HTTP client, as everybody has it who does not set another.
	client := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} // the certificate is the stub's
	})
	return dynamodb.New(dynamodb.Options{
		Region:       "eu-west-1",
		BaseEndpoint: aws.String(url),
		Credentials:  aws.NewCredentialsCache(credentials.NewStaticCredentialsProvider("AKID", "SECRET", "")),
		HTTPClient:   client,
	})
}

// store returns a store in a table of its own.
func (b *bencher) store(client *dynamodb.Client, name string, opts ...dynamostore.Option) (*mes.Store, *dynamostore.Table, error) {
	table := dynamostore.New(client, name, opts...)
	store, err := mes.New(table, mes.WithTTL(mes.NeverExpire()))
	return store, table, err
}

func plainEvents(list []mes.Event) []plainEvent {
	plain := make([]plainEvent, len(list))
	for i := range list {
		plain[i] = plainEvent{ID: list[i].ID, Type: list[i].Type, Timestamp: list[i].Timestamp.UnixMilli(), PartitionKey: list[i].PartitionKey, Raw: list[i].Raw}
	}
	return plain
}

// read is a Query that gives n events.
func (b *bencher) read(family, form string, n int, floor, aim float64) (benchCase, error) {
	list, err := eventsOf(family, n)
	if err != nil {
		return benchCase{}, err
	}
	name := fmt.Sprintf("read-%s-%s-%d", family, form, n)
	store, table, err := b.store(b.client, name, optionsOf(form)...)
	if err != nil {
		return benchCase{}, err
	}
	if err := store.Save(b.ctx, list...); err != nil {
		return benchCase{}, err
	}
	unpacker, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0))
	if err != nil {
		return benchCase{}, err
	}
	c := benchCase{
		events: n, counts: table,
		against: []string{"SDK, attributevalue, encoding/json"}, floor: []float64{floor}, aim: []float64{aim},
		limit: "net/http and one scan", limiting: b.callOnly("Query", queryOf(name)),
	}
	if form == "B" {
		c.limit = "zstd alone"
		if c.limiting, err = unpacked(list, unpacker); err != nil {
			return benchCase{}, err
		}
	}
	if n == 1000 && family == "1KB" {
		c.allocs = 0.5
	}
	c.sides = []side{
		func(runs int) error {
			for range runs {
				m, err := store.GetMicroEventStore(b.ctx, "key")
				if err != nil || len(m.Events) != n || m.Events[n-1].ID != list[n-1].ID {
					return errors.Join(err, fmt.Errorf("another history"))
				}
			}
			return nil
		},
	}
	forms, names := plainFormsOf(form)
	c.against = append(c.against, names...)
	for _, form := range forms {
		c.sides = append(c.sides, func(runs int) error {
			for range runs {
				got, err := plainRead(b.ctx, b.client, unpacker, name, form, "key")
				if err != nil || len(got) != n || got[n-1].ID != list[n-1].ID {
					return errors.Join(err, fmt.Errorf("another history"))
				}
			}
			return nil
		})
	}
	return c, nil
}

// save stores 25 events.
func (b *bencher) save(family, form string, floor, aim [2]float64) (benchCase, error) {
	const n = 25
	list, err := eventsOf(family, n)
	if err != nil {
		return benchCase{}, err
	}
	name := fmt.Sprintf("save-%s-%s-sink", family, form)
	store, table, err := b.store(b.client, name, optionsOf(form)...)
	if err != nil {
		return benchCase{}, err
	}
	plain := plainEvents(list)
	itemsOf := func() ([]map[string]types.AttributeValue, error) {
		items := make([]map[string]types.AttributeValue, n)
		for i := range plain {
			item, err := plainItem(&plain[i], rangeKeyOf(&list[i]), form)
			if err != nil {
				return nil, err
			}
			items[i] = item
		}
		return items, nil
	}
	c := benchCase{
		events: n, counts: table,
		against: []string{"25 PutItem", "the SDK's BatchWriteItem"}, floor: floor[:], aim: aim[:],
		limit: "net/http", limiting: b.callOnly("BatchWriteItem", batchOf(name, list, layouts[form])),
	}
	if family == "1KB" {
		c.allocs = 14
	}
	c.sides = []side{
		func(runs int) error {
			for range runs {
				if err := store.Save(b.ctx, list...); err != nil {
					return err
				}
			}
			return nil
		},
		func(runs int) error {
			for range runs {
				items, err := itemsOf()
				if err != nil {
					return err
				}
				for _, item := range items {
					if err := plainPut(b.ctx, b.client, name, item); err != nil {
						return err
					}
				}
			}
			return nil
		},
		func(runs int) error {
			for range runs {
				items, err := itemsOf()
				if err != nil {
					return err
				}
				requests := make([]types.WriteRequest, n)
				for i := range items {
					requests[i].PutRequest = &types.PutRequest{Item: items[i]}
				}
				if err := plainBatch(b.ctx, b.client, name, requests); err != nil {
					return err
				}
			}
			return nil
		},
	}
	return c, nil
}

// rangeKeys makes range keys.
func rangeKeys() (benchCase, error) {
	list, err := eventsOf("1KB", 1)
	if err != nil {
		return benchCase{}, err
	}
	e := &list[0]
	key := mes.TimeAndID()
	buffer := make([]byte, 0, 128)
	sink := 0
	return benchCase{
		events: 1, against: []string{"fmt.Sprintf"}, floor: []float64{10}, aim: []float64{20},
		sides: []side{
			func(runs int) error {
				for range runs {
					var err error
					if buffer, err = key.AppendRangeKey(buffer[:0], e); err != nil {
						return err
					}
					sink += len(buffer)
				}
				return nil
			},
			func(runs int) error {
				for range runs {
					sink += len(rangeKeyOf(e))
				}
				return nil
			},
		},
	}, nil
}

// triggers is 100 changes of one key of 1,000 events.
func (b *bencher) triggers() (benchCase, error) {
	const n, fired = 1000, 100
	list, err := eventsOf("1KB", n)
	if err != nil {
		return benchCase{}, err
	}
	const name = "trigger"
	store, _, err := b.store(b.client, name)
	if err != nil {
		return benchCase{}, err
	}
	if err := store.Save(b.ctx, list...); err != nil {
		return benchCase{}, err
	}
	handled := 0
	trigger := mes.NewTrigger(store, func(_ context.Context, m *mes.MicroEventStore) error {
		handled += len(m.Events)
		return nil
	})
	changes := make([]mes.Change, fired)
	for i := range changes {
		changes[i] = mes.Change{Kind: mes.Inserted, HashKey: "key", RangeKey: rangeKeyOf(&list[n-fired+i])}
	}
	return benchCase{
		events:  fired,
		against: []string{"a Query for each change", "one Query for all"}, floor: []float64{100}, aim: []float64{500},
		sides: []side{
			func(runs int) error {
				for range runs {
					if err := trigger.Handle(b.ctx, changes); err != nil {
						return err
					}
				}
				return nil
			},
			func(runs int) error {
				for range runs {
					for range changes {
						got, err := plainRead(b.ctx, b.client, nil, name, "S", "key")
						if err != nil {
							return err
						}
						handled += len(got)
					}
				}
				return nil
			},
			func(runs int) error { // by someone who groups the changes by their key
				for range runs {
					got, err := plainRead(b.ctx, b.client, nil, name, "S", "key")
					if err != nil {
						return err
					}
					for range changes {
						handled += len(got)
					}
				}
				return nil
			},
		},
	}, nil
}

// savers is 64 goroutines that save one event after the other, over TLS, with a
// server that takes a millisecond.
func (b *bencher) savers() (benchCase, error) {
	const n = 64
	list, err := eventsOf("1KB", n)
	if err != nil {
		return benchCase{}, err
	}
	const name = "slow-sink"
	ours, theirs := b.newClient(b.secure), b.newClient(b.secure)
	store, table, err := b.store(ours, name)
	if err != nil {
		return benchCase{}, err
	}
	plain := plainEvents(list)
	together := func(runs int, one func(i int) error) error {
		failed := make(chan error, n)
		for i := range n {
			go func() {
				var err error
				for range runs {
					err = errors.Join(err, one(i))
				}
				failed <- err
			}()
		}
		var err error
		for range n {
			err = errors.Join(err, <-failed)
		}
		return err
	}
	return benchCase{
		events: n, byRate: true,
		against: []string{"PutItem, the SDK's transport"}, floor: []float64{3}, aim: []float64{4.8},
		done: func() { _ = table.Close() },
		sides: []side{
			func(runs int) error {
				return together(runs, func(i int) error { return store.Save(b.ctx, list[i]) })
			},
			func(runs int) error {
				return together(runs, func(i int) error {
					item, err := plainItem(&plain[i], rangeKeyOf(&list[i]), "S")
					if err != nil {
						return err
					}
					return plainPut(b.ctx, theirs, name, item)
				})
			},
		},
	}, nil
}
