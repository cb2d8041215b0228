package dynamostore

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
)

// redirections are servers that send requests elsewhere, each in a form of its own. Some
// have what an error of DynamoDB has, one breaks off.
func redirections() map[string]func() *stub {
	forms := make(map[string]func() *stub)
	add := func(name string, answer func(call) (*http.Response, error)) {
		forms[name] = func() *stub { return &stub{answer: answer} }
	}
	for _, status := range []int{http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusNotModified, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		for name, body := range map[string]string{"": "", " with a page": "<html>secret</html>"} {
			add(fmt.Sprint(status, name), func(call) (*http.Response, error) { return answer(status, body), nil })
		}
	}
	for _, code := range []string{"ValidationException", "ThrottlingException", "AccessDeniedException"} {
		add(code, func(call) (*http.Response, error) {
			r := refusal(code, "secret")
			r.StatusCode = http.StatusTemporaryRedirect
			return r, nil
		})
	}
	add("cut", func(call) (*http.Response, error) {
		return cut(answer(http.StatusTemporaryRedirect, "<html>secret</html>")), nil
	})
	return forms
}

// It would be the same the next time, so there is no next time.
func TestPromise13ARedirectionIsNotTriedAgain(t *testing.T) {
	for form, redirect := range redirections() {
		for name, operation := range operations {
			synctest.Test(t, func(t *testing.T) {
				s := redirect()
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour) // which it would try for
				defer cancel()
				began := time.Now()
				err := operation(ctx, s.table())
				require.ErrorContains(t, err, "HTTP status 30", form, name)
				require.ErrorContains(t, err, "set the address it means", form, name)
				require.Equal(t, 1, s.count(), "%s, %s: %v", form, name, err)
				require.Zero(t, time.Since(began))
				leaksNothing(t, err)
			})
		}
	}
}

// All requests of a batch would meet it.
func TestARedirectionEndsABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stub{answer: func(call) (*http.Response, error) { return answer(http.StatusTemporaryRedirect, ""), nil }}
		err := s.table(WithParallelism(1)).Put(t.Context(), items(1000))
		var partial *driver.PutError
		require.ErrorAs(t, err, &partial)
		require.Len(t, partial.Failures, 1000)
		require.Equal(t, 1, s.count())
	})
}

// Where the user's own client follows redirections, it may be sent in a circle.
func TestPromise13RedirectionsInACircleAreNotTriedAgain(t *testing.T) {
	s := &stub{answer: func(call) (*http.Response, error) {
		r := answer(http.StatusTemporaryRedirect, "")
		r.Header.Set("Location", "http://stub.invalid/again")
		return r, nil
	}}
	err := s.table(KeepTransport()).Put(t.Context(), items(1))
	require.ErrorContains(t, err, "HTTP status 307")
	require.Equal(t, 10, s.count(), "as many as net/http follows, once")
	leaksNothing(t, err)
}

// It is not the record's fault, whatever the answer looks like.
func TestPromise09ARedirectionIsNoFault(t *testing.T) {
	for form, redirect := range redirections() {
		s := redirect()
		store, err := mes.New(s.table(), mes.WithTTL(mes.NeverExpire()))
		require.NoError(t, err)
		set := func(context.Context, mes.Fault) error {
			t.Error("a record was set aside")
			return nil
		}
		listener := mes.NewListener(store, nil, mes.WithFaultHandler(set))
		var batch *mes.BatchError
		require.ErrorAs(t, listener.Handle(t.Context(), []mes.Record{
			{Data: []byte(`{"id":"1","type":"t","timestamp":1700000000000,"partitionKey":"secret-hash"}`)},
			{Data: []byte(`{"id":"2","type":"t","timestamp":1700000000000,"partitionKey":"secret-hash"}`)},
		}), &batch)
		require.Len(t, batch.Failures, 2, form)
		for _, failure := range batch.Failures {
			require.False(t, mes.IsPermanent(failure.Err), form)
			require.NotErrorIs(t, failure.Err, driver.ErrInvalidItem)
			leaksNothing(t, failure.Err)
		}
		require.Equal(t, 1, s.count(), "%s: nor is the batch taken apart", form)

		trigger := mes.NewTrigger(store, func(context.Context, *mes.MicroEventStore) error { return nil }, mes.WithFaultHandler(set))
		require.ErrorAs(t, trigger.Handle(t.Context(), []mes.Change{{Kind: mes.Inserted, HashKey: "secret-hash", RangeKey: "1"}}), &batch)
		require.False(t, mes.IsPermanent(batch.Failures[0].Err), form)
	}
}
