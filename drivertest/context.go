package drivertest

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/microeventstore/microeventstore/driver"
)

func contextCases() []testCase {
	return []testCase{
		{name: "ContextEnded", rule: "Every method honours its context: called with one that has ended, it does nothing and returns an error for which errors.Is(err, ctx.Err()) is true.", run: testContextEnded},
		{name: "PutWhileContextEnds", rule: "Put returns soon after its context ends, with an error for which errors.Is(err, ctx.Err()) is true, unless it had finished; nil still means stored.", run: testPutWhileContextEnds},
		{name: "QueryWhileContextEnds", rule: "Query returns soon after its context ends, with an error for which errors.Is(err, ctx.Err()) is true, unless it had finished; a page is still right.", run: testQueryWhileContextEnds},
	}
}

func testContextEnded(s *suite) {
	t := s.open()
	kept := newItem("context", "kept", 0)
	s.put(t, kept)
	canceled, cancel := context.WithCancel(s.ctx)
	cancel()
	late, cancel := context.WithDeadline(s.ctx, time.Now().Add(-time.Hour))
	defer cancel()
	why, cancelWhy := context.WithCancelCause(s.ctx)
	cancelWhy(errors.New("a cause"))

	for name, ctx := range map[string]context.Context{"canceled": canceled, "past its deadline": late, "canceled with a cause": why} {
		check := func(method string, err error) {
			switch {
			case !errors.Is(err, ctx.Err()):
				s.failf("%s with a context that is %s: error %v; want one that is %v", method, name, err, ctx.Err())
			case errors.Is(err, driver.ErrInvalidItem), errors.Is(err, driver.ErrInvalidQuery), errors.Is(err, driver.ErrClosed):
				s.failf("%s with a context that is %s: error %v, which blames something else too", method, name, err)
			}
		}
		check("Put", t.Put(ctx, []driver.Item{newItem("context", "not kept", 0)}))
		_, err := t.Query(ctx, driver.Query{HashKey: "context"})
		check("Query", err)
		if _, ok := t.Table.(driver.Deleter); ok {
			_, err := t.Delete(ctx, "context")
			check("Delete", err)
		}
	}
	s.want(t, driver.Query{HashKey: "context"}, kept)
}

// endingContexts calls f with contexts that end after a random while, which is
// about as long as f took before, and checks what it returns.
func (s *suite) endingContexts(method string, f func(ctx context.Context, i int) error) {
	s.Helper()
	random := rand.New(rand.NewPCG(s.newSeed(), 0))
	typical := time.Millisecond
	for i := range s.fewer(60, 10) {
		ctx, cancel := context.WithTimeout(s.ctx, time.Duration(random.Int64N(int64(2*typical)))+1)
		if i%2 == 1 { // a cancellation in the place of a deadline
			cancel()
			ctx, cancel = context.WithCancel(s.ctx)
			time.AfterFunc(time.Duration(random.Int64N(int64(2*typical)))+1, cancel)
		}
		began := time.Now()
		finished := make(chan error, 1)
		go func() { finished <- f(ctx, i) }()
		var err error
		select {
		case err = <-finished:
		case <-ctx.Done():
			select {
			case err = <-finished:
			case <-time.After(s.patience()):
				cancel()
				s.fatalf("%s had not returned %v after its context ended", method, s.patience())
			}
		}
		if err == nil {
			typical = (typical + time.Since(began)) / 2
		} else {
			// Where every context ended too early for anything, the next ones live
			// longer: a slow machine gets as far as a fast one.
			typical = min(2*typical, 50*time.Millisecond)
			// A table may see a deadline a moment before the context does.
			if _, ok := ctx.Deadline(); ok {
				<-ctx.Done()
			}
			if ctxErr := ctx.Err(); ctxErr == nil || !errors.Is(err, ctxErr) {
				s.failf("%s, when its context ended: error %v; want nil or one that is %v", method, err, ctxErr)
			}
		}
		cancel()
	}
}

func testPutWhileContextEnds(s *suite) {
	t := s.open()
	n := s.fewer(300, 60)
	stored := make(map[string]driver.Item) // for certain
	s.endingContexts("Put", func(ctx context.Context, i int) error {
		items := make([]driver.Item, n)
		for j := range items {
			items[j] = newItem("ending", text(i*n+j), j)
		}
		err := t.Put(ctx, items)
		missing := make(map[int]bool)
		var partial *driver.PutError
		if errors.As(err, &partial) {
			for _, failure := range partial.Failures {
				missing[failure.Index] = true
			}
		} else if err != nil {
			return err
		}
		for j, item := range items {
			if !missing[j] {
				stored[item.RangeKey] = item
			}
		}
		return err
	})
	got := make(map[string]driver.Item)
	a := s.read(t, driver.Query{HashKey: "ending", Consistent: true})
	for _, item := range a.items {
		got[item.RangeKey] = item
	}
	for key, item := range stored {
		found, ok := got[key]
		if !ok && a.consistent {
			s.failf("Put did not name item %s as failed, and it is not there", key)
			return
		}
		if d := diffItem(found, item); ok && d != "" {
			s.failf("item %s: %s", key, d)
			return
		}
	}
	after := newItem("afterwards", "r", 0)
	s.put(t, after)
	s.want(t, driver.Query{HashKey: "afterwards"}, after)
}

func testQueryWhileContextEnds(s *suite) {
	t := s.open()
	random := rand.New(rand.NewPCG(10, 10))
	items := newItems("ending", 500) // more than a page
	for i := range items {
		items[i] = padded(items[i], 3000, random)
	}
	s.put(t, items...)
	s.want(t, driver.Query{HashKey: "ending"}, items...)
	s.endingContexts("Query", func(ctx context.Context, _ int) error {
		q := driver.Query{HashKey: "ending", Consistent: true}
		var got []driver.Item
		for {
			page, err := t.Query(ctx, q)
			if err != nil {
				return err
			}
			got = append(got, page.Items...)
			if q.Cursor = page.Next; page.Next != "" {
				continue
			}
			if d := diff(got, items); d != "" && page.Consistent {
				s.failf("a Query whose context ended returned no error, and %s", d)
			}
			return nil
		}
	})
	s.want(t, driver.Query{HashKey: "ending"}, items...)
}
