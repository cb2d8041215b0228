package main

import (
	"context"
	"errors"

	"github.com/microeventstore/microeventstore/dynamostore"
	"github.com/microeventstore/microeventstore/lambdahandler"

	mes "github.com/microeventstore/microeventstore"
)

// kinesis is the payload of an invocation with n records, up to the events. The
// filter accepts none of them, so nothing is saved.
func (b *bencher) kinesis(family string, n int, floor, aim float64) (benchCase, error) {
	list, err := eventsOf(family, n)
	if err != nil {
		return benchCase{}, err
	}
	payload := kinesisPayload(list)
	store, _, err := b.store(b.client, "kinesis-sink")
	if err != nil {
		return benchCase{}, err
	}
	seen := 0
	handler := lambdahandler.Kinesis(mes.NewListener(store, func(e mes.Event) bool {
		seen += len(e.ID)
		return false
	}))
	c := benchCase{
		events:  n,
		against: []string{"events.KinesisEvent, encoding/json"}, floor: []float64{floor}, aim: []float64{aim},
		limit: "base64 alone", limiting: base64Only(list),
		sides: []side{
			func(runs int) error {
				for range runs {
					seen = 0
					if _, err := handler.Invoke(b.ctx, payload); err != nil || seen != n*len(list[0].ID) {
						return errors.Join(err, errors.New("other events"))
					}
				}
				return nil
			},
			func(runs int) error {
				for range runs {
					got, err := plainKinesis(payload)
					if err != nil || len(got) != n || got[n-1].ID != list[n-1].ID {
						return errors.Join(err, errors.New("other events"))
					}
				}
				return nil
			},
		},
	}
	if family == "1KB" {
		c.allocs = 0.05
	}
	return c, nil
}

// changes is the payload of an invocation with n records of a table's stream, up to
// the changes with their events. No key is wanted, so nothing is read.
func (b *bencher) changes(family, form string, n int, floor, aim float64) (benchCase, error) {
	list, err := eventsOf(family, n)
	if err != nil {
		return benchCase{}, err
	}
	payload := changesPayload(list, layouts[form])
	table := dynamostore.New(b.client, "changes", optionsOf(form)...)
	store, err := mes.New(table)
	if err != nil {
		return benchCase{}, err
	}
	seen := 0
	trigger := mes.NewTrigger(store, func(context.Context, *mes.MicroEventStore) error { return errors.New("called") },
		mes.OnlyHashKeys(func(key string) bool {
			seen++
			return false
		}))
	handler := lambdahandler.DynamoDB(trigger)
	c := benchCase{
		events:  n,
		against: []string{"events.DynamoDBEvent, encoding/json"}, floor: []float64{floor}, aim: []float64{aim}, counts: table,
		limit: "one scan of the events", limiting: oneScan(list),
		sides: []side{
			func(runs int) error {
				for range runs {
					seen = 0
					if _, err := handler.Invoke(b.ctx, payload); err != nil || seen != n {
						return errors.Join(err, errors.New("other changes"))
					}
				}
				return nil
			},
		},
	}
	forms, names := plainFormsOf(form)
	c.against = append(c.against, names...)
	for _, form := range forms {
		c.sides = append(c.sides, func(runs int) error {
			for range runs {
				got, err := plainDynamoDB(payload, form)
				if err != nil || len(got) != n || got[n-1].ID != list[n-1].ID {
					return errors.Join(err, errors.New("other changes"))
				}
			}
			return nil
		})
	}
	if family == "1KB" {
		c.allocs = 0.05
	}
	return c, nil
}
