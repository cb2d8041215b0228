package dynamostore

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
)

// These tests look at the table from above: through a store, a listener and a
// trigger.

func newStore(t testing.TB, table *Table, opts ...mes.Option) *mes.Store {
	t.Helper()
	store, err := mes.New(table, append([]mes.Option{mes.WithTTL(mes.NeverExpire())}, opts...)...)
	require.NoError(t, err)
	return store
}

func event(t testing.TB, n int, hashKey string) mes.Event {
	t.Helper()
	e, err := mes.NewEvent(map[string]any{
		"id": fmt.Sprintf("%06d", n), "type": "thing-created", "timestamp": 1_700_000_000_000 + n, "partitionKey": hashKey,
		"thing": strings.Repeat("abcdefg ", 120),
	})
	require.NoError(t, err)
	return e
}

func TestPromise09WhatAWSRefusesIsNobodysFault(t *testing.T) {
	for _, code := range []string{
		"AccessDeniedException", "ResourceNotFoundException", "ProvisionedThroughputExceededException", "ThrottlingException",
		"UnrecognizedClientException", "ValidationException", "InternalServerError", "SomethingNew",
	} {
		t.Run(code, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &stub{answer: func(call) (*http.Response, error) { return refusal(code, "no"), nil }}
				store := newStore(t, s.table())
				faults := 0
				setAside := mes.WithFaultHandler(func(context.Context, mes.Fault) error { faults++; return nil })
				called := false
				handle := func(context.Context, *mes.MicroEventStore) error { called = true; return nil }
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()

				e := event(t, 1, "p")
				var batch *mes.BatchError
				err := mes.NewListener(store, nil, setAside).Handle(ctx, []mes.Record{{Data: e.Raw}, {Data: event(t, 2, "p").Raw}})
				require.ErrorAs(t, err, &batch)
				require.Len(t, batch.Failures, 2)

				changes := []mes.Change{{Kind: mes.Inserted, HashKey: "p", RangeKey: "0001700000000001#000001"}}
				err = mes.NewTrigger(store, handle, setAside).Handle(ctx, changes)
				require.ErrorAs(t, err, &batch)
				require.Len(t, batch.Failures, 1)
				require.Zero(t, faults)
				require.False(t, called)
			})
		})
	}
}

// faultyClient fails chosen requests, each in another way.
type faultyClient struct {
	dynamodb.HTTPClient
	requests atomic.Int64
	fails    func(n int64) bool
}

func (f *faultyClient) Do(r *http.Request) (*http.Response, error) {
	n := f.requests.Add(1)
	if !f.fails(n) {
		return f.HTTPClient.Do(r)
	}
	switch n % 4 {
	case 0:
		return nil, errors.New("connection reset by peer")
	case 1:
		return answer(500, `{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError"}`), nil
	case 2:
		return answer(200, ""), nil
	}
	response, err := f.HTTPClient.Do(r)
	if err != nil {
		return nil, err
	}
	return cut(response), nil
}

// A collation of ten pages is read whole and in order, whatever page fails.
func TestIntegrationPromise06ALongHistoryIsCompleteOrAnError(t *testing.T) {
	s := newServer(t)
	s.opts = []Option{WithoutTTL(), WithoutStream()}
	_, name := s.table(t)
	options := s.Options()
	faults := &faultyClient{HTTPClient: options.HTTPClient, fails: func(int64) bool { return false }}
	options.HTTPClient = faults
	client := dynamodb.New(options)
	const n = 5000
	store := newStore(t, New(client, name, WithMaxAttempts(4)))
	events := make([]mes.Event, n)
	for i := range events {
		e, err := mes.NewEvent(map[string]any{
			"id": fmt.Sprintf("%06d", i), "type": "t", "timestamp": 1_700_000_000_000 + i, "partitionKey": "p", "x": strings.Repeat("x", 1900),
		})
		require.NoError(t, err)
		events[i] = e
	}
	require.NoError(t, store.Save(t.Context(), events...))
	check := func(m *mes.MicroEventStore) {
		t.Helper()
		require.Len(t, m.Events, n)
		for i, e := range m.Events {
			require.Equal(t, fmt.Sprintf("%06d", i), e.ID)
		}
	}
	m, err := store.GetMicroEventStore(t.Context(), "p")
	require.NoError(t, err)
	check(m)
	step := int64(1)
	if s.fake {
		step = 4 // each page is in make integration
	}
	for page := int64(0); page < 9; page += step { // there are ten at least
		begin := faults.requests.Load()
		faults.fails = func(n int64) bool { return n == begin+1+page }
		m, err := store.GetMicroEventStore(t.Context(), "p")
		require.NoError(t, err, "one failure is made good")
		check(m)
		faults.fails = func(n int64) bool { return n > begin+20+page }
		for faults.requests.Load() < begin+20 { // from now on everything fails after some pages
			if _, err = store.GetMicroEventStore(t.Context(), "p", mes.Last(1)); err != nil {
				break
			}
		}
		m, err = store.GetMicroEventStore(t.Context(), "p")
		require.Error(t, err)
		require.Nil(t, m)
		faults.fails = func(int64) bool { return false }
	}
}

func TestIntegrationInsertOnce(t *testing.T) {
	s := newServer(t)
	s.opts = []Option{WithoutTTL(), WithoutStream()}
	table, _ := s.table(t)
	store := newStore(t, table, mes.InsertOnce(), mes.WithRangeKey(mes.EventID()))
	first := event(t, 1, "p")
	other, err := mes.NewEvent(map[string]any{"id": first.ID, "type": "another", "timestamp": 1, "partitionKey": "p"})
	require.NoError(t, err)
	require.NoError(t, store.Save(t.Context(), first))
	require.NoError(t, store.Save(t.Context(), first))
	err = store.Save(t.Context(), other, first)
	require.ErrorIs(t, err, mes.ErrConflict)
	require.True(t, mes.IsPermanent(err))
	m, err := store.GetMicroEventStore(t.Context(), "p")
	require.NoError(t, err)
	require.Len(t, m.Events, 1)
	require.Equal(t, "thing-created", m.Events[0].Type)
}
