package rules_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/memorytable"
	"github.com/microeventstore/microeventstore/mestest"
	"github.com/microeventstore/microeventstore/rules"
)

func TestNewSaysAllThatIsWrong(t *testing.T) {
	_, err := rules.New(nil, nil, nil, nil)
	for _, text := range []string{"the store is nil", "there are no rules", "option 0 is nil"} {
		require.ErrorContains(t, err, text)
	}
	store, err := mes.New(memorytable.New())
	require.NoError(t, err)
	holds := func(*mes.MicroEventStore) ([]mes.Event, error) { return nil, nil }
	key := func(*mes.MicroEventStore, []mes.Event) (string, error) { return "", nil }
	for text, list := range map[string][]rules.Rule{
		"1 to 128 bytes":                    {{Emit: rules.One("x")}},
		"128 bytes":                         {{ID: strings.Repeat("x", 129), Emit: rules.One("x")}},
		"UTF-8":                             {{ID: "\xff", Emit: rules.One("x")}},
		"a dot":                             {{ID: "a.b", Emit: rules.One("x")}},
		"a control character":               {{ID: "a\x01", Emit: rules.One("x")}},
		"a number":                          {{ID: "12", Emit: rules.One("x")}},
		"two rules":                         {{ID: "a", Emit: rules.One("x")}, {ID: "a", Emit: rules.One("x")}},
		"either Emit or Correlate":          {{ID: "a"}},
		"Emit or Correlate":                 {{ID: "a", Emit: rules.One("x"), Correlate: key}},
		"Once is for rules with Emit":       {{ID: "a", Correlate: key, Once: true}},
		"OnExpiry and Correlate":            {{ID: "a", Correlate: key, OnExpiry: true}},
		"must not be negative":              {{ID: "a", When: holds, Emit: rules.One("x"), Last: -1}},
		"are for rules with When":           {{ID: "a", Emit: rules.One("x"), Within: 1}},
		`rule "a" emits, but the publisher`: {{ID: "a", Emit: rules.One("x")}},
	} {
		_, err := rules.New(store, nil, list)
		require.ErrorContains(t, err, text)
	}
	plain, err := mes.New(struct{ driver.Table }{memorytable.New()})
	require.NoError(t, err)
	_, err = rules.New(plain, new(stream), []rules.Rule{{ID: "a", Emit: rules.One("x"), Once: true}})
	require.ErrorContains(t, err, "only if it is absent")
	_, err = rules.New(store, nil, []rules.Rule{{ID: "a", Correlate: key}})
	require.NoError(t, err, "nothing is published")
}

func TestARuleWithoutOnceEmitsAgain(t *testing.T) {
	w := newWorld(t, []rules.Rule{{ID: "r", When: rules.Have("paid", "packed"), Emit: rules.One("x")}})
	w.save(event(t, "1", "packed", "p", 1), event(t, "2", "paid", "p", 2))
	require.NoError(t, w.fire())
	require.ElementsMatch(t, []string{"1.r", "2.r"}, w.stream.ids())
}

func TestAChangeIsNotAcknowledgedUntilItsEventsAreSent(t *testing.T) {
	w := newWorld(t, []rules.Rule{{ID: "r", Emit: rules.One("x")}})
	w.save(event(t, "1", "a", "p", 1))
	w.save(event(t, "2", "a", "q", 1))
	w.stream.before = func(events []mes.Event) error {
		if events[0].ID == "1.r" {
			return errCrash
		}
		return nil
	}
	var batch *mes.BatchError
	require.ErrorAs(t, w.fire(), &batch)
	require.Len(t, batch.Failures, 1)
	require.Zero(t, batch.Failures[0].Index)
	require.ErrorIs(t, batch, errCrash)

	// One that can never be sent is a fault.
	w.stream.before = func(events []mes.Event) error {
		return &mes.PublishError{Failures: []mes.Failure{{Index: 0, Err: mes.Permanent(errCrash)}}}
	}
	require.True(t, mes.IsPermanent(w.fire()))
	w.stream.before = func([]mes.Event) error { panic("x") }
	require.False(t, mes.IsPermanent(w.fire()))
}

func TestPromise06ALateEventSeesTheHistoryInItsTrueOrder(t *testing.T) {
	var seen []string
	w := newWorld(t, []rules.Rule{{ID: "r", Types: []string{"late"}, When: func(m *mes.MicroEventStore) ([]mes.Event, error) {
		for _, e := range m.UpTo(m.Current) {
			seen = append(seen, e.ID)
		}
		return nil, nil
	}, Emit: rules.One("x")}})
	w.save(event(t, "3", "a", "p", 3), event(t, "1", "a", "p", 1))
	w.save(event(t, "2", "late", "p", 2))
	require.NoError(t, w.fire())
	require.Equal(t, []string{"1", "2"}, seen)
}

func TestPromise06EachRuleSeesItsOwnWindowOfOneRead(t *testing.T) {
	seen := make(map[string][]string)
	rule := func(id string, last int, within time.Duration) rules.Rule {
		return rules.Rule{ID: id, Last: last, Within: within, Types: []string{"fires"}, Emit: rules.One("x"), When: func(m *mes.MicroEventStore) ([]mes.Event, error) {
			for _, e := range m.Events {
				seen[id] = append(seen[id], e.ID)
			}
			return nil, nil
		}}
	}
	list := []rules.Rule{rule("last", 2, 0), rule("within", 0, 2*time.Second), rule("both", 1, time.Second), {ID: "alone", Types: []string{"fires"}, Emit: rules.One("x")}}
	w := newWorld(t, list)
	for i := range 100 {
		eventType := "waits"
		if i == 50 {
			eventType = "fires"
		}
		w.save(event(t, fmt.Sprintf("%02d", i), eventType, "p", i))
	}
	w.table.ResetCounts()
	require.NoError(t, w.fire())
	require.Equal(t, map[string][]string{
		"last":   {"50", "98", "99"}, // the one that fired is always there
		"within": {"48", "49", "50", "51", "52"},
		"both":   {"49", "50", "51", "99"},
	}, seen)
	require.Equal(t, []string{"50.alone"}, w.stream.ids())

	clear(seen)
	w.use(append(list, rule("all", 0, 0)))
	w.table.ResetCounts()
	require.NoError(t, w.fire())
	_ = w.trigger.Handle(t.Context(), w.changes(50)[:1])
	require.Len(t, seen["all"], 100)
	require.Equal(t, []string{"50", "98", "99"}, seen["last"])
	require.Equal(t, 1, w.table.Counts().Queries)
}

func TestEventsThatWakeNoRuleCostNothing(t *testing.T) {
	w := newWorld(t, []rules.Rule{{ID: "r", Types: []string{"paid"}, KeyPrefix: "order#", When: rules.Have("paid"), Emit: rules.One("x")}})
	w.save(event(t, "1", "a", "order#1", 1), event(t, "2", "paid", "user#1", 1), event(t, "3", "paid", "order#", 1))
	w.table.ResetCounts()
	require.NoError(t, w.fire())
	require.Zero(t, w.table.Counts().Queries)
	require.Empty(t, w.stream.ids())
}

func TestEmissionsSetWhatTheyLike(t *testing.T) {
	at := t0().Add(time.Hour)
	w := newWorld(t, []rules.Rule{{ID: "r", Emit: func(*mes.MicroEventStore, []mes.Event) ([]rules.Emission, error) {
		return []rules.Emission{{ID: "own", Type: "x", PartitionKey: "k", Timestamp: at, Tags: map[string]any{"source": "s", "n": 1}, Fields: struct {
			A string `json:"a"`
		}{"b"}}}, nil
	}}})
	w.save(event(t, "1", "a", "p", 1, `"tags":{"n":0,"m":9007199254740993}`))
	require.NoError(t, w.fire())
	require.Equal(t, fmt.Sprintf(`{"id":"own","type":"x","timestamp":%d,"partitionKey":"k","tags":{"m":9007199254740993,"n":1,"source":"s"},`+
		`"triggers":[{"id":"1","type":"a","timestamp":1548967023000}],"a":"b"}`, at.UnixMilli()), string(w.stream.take()[0].Raw))
}

func TestCopiesOfEnvelopedEvents(t *testing.T) {
	w := newWorld(t, []rules.Rule{{ID: "r", Emit: rules.Copy("x")}}, mes.WithHashKey(func(mes.Event) (string, error) { return "k", nil }))
	cloud, err := mes.Parse([]byte(`{"specversion":"1.0","id":"1","source":"/s","type":"t","time":"2024-01-01T00:00:00Z","data":{"a":1,"tags":{"b":"c"}}}`))
	require.NoError(t, err)
	bridge, err := mes.Parse([]byte(`{"version":"0","id":"2","detail-type":"t","source":"s","time":"2024-01-01T00:00:01Z","detail":{"id":"2","a":2,"tags":{"b":"d"}}}`))
	require.NoError(t, err)
	w.save(cloud, bridge)
	require.NoError(t, w.fire())
	emitted := w.stream.take()
	require.Len(t, emitted, 2)
	for i, e := range emitted {
		require.Equal(t, map[string]any{"b": []string{"c", "d"}[i], "source": "test"}, decoded(t, e)["tags"])
		a, _ := e.Field("a")
		require.Equal(t, fmt.Sprint(i+1), string(a))
	}
}

func TestTheTagsOfCausesAreMergedWhereverTagFindsThem(t *testing.T) {
	list := []rules.Rule{{ID: "r", Types: []string{"t2"}, When: rules.Have("t1", "t2"), Emit: rules.One("x")}}
	w := newWorld(t, list, mes.WithHashKey(func(mes.Event) (string, error) { return "k", nil }))
	for i, text := range []string{
		`{"specversion":"1.0","id":"1","source":"/s","type":"t1","time":"2024-01-01T00:00:00Z","subject":"s","datacontenttype":"application/json",
			"partitionkey":"k","user":"ann","level":1,"nothing":null,"nested":{"a":1},"timestamp":5,"data":{"tags":{"a":"1","b":"1","level":2}},"tags":{"b":"2"}}`,
		`{"id":"2","type":"t2","timestamp":1704067201000,"specversion":"1.0","user":"bob","tags":{"a":"3"}}`, // no CloudEvent: it has no source
	} {
		e, err := mes.Parse([]byte(strings.Repeat(" ", 100) + text))
		require.NoError(t, err)
		w.save(e)
		if i == 0 {
			level, _ := e.Tag("level")
			require.Equal(t, "2", level)
		}
	}
	require.NoError(t, w.fire())
	tags, err := json.Marshal(decoded(t, w.stream.take()[0])["tags"])
	require.NoError(t, err)
	require.JSONEq(t, `{"a":"3","b":"2","level":2,"user":"ann","source":"test"}`, string(tags))
}

func TestWhatCannotBeEmittedIsSaidWithoutItsContent(t *testing.T) {
	for want, emissions := range map[string][]rules.Emission{
		"event 1 of those emitted: its ID is not valid UTF-8":              {{Type: "x", ID: "secret\xff"}},
		"event 1 of those emitted: its Type is not valid UTF-8":            {{Type: "secret\xff"}},
		"event 2 of those emitted: its PartitionKey is not valid UTF-8":    {{Type: "x"}, {Type: "x", PartitionKey: "secret\xff"}},
		"event 1 of those emitted: a tag is not valid UTF-8":               {{Type: "x", Tags: map[string]any{"secret\xff": 1}}},
		"event 1 of those emitted: a tag is not valid UTF-8 ":              {{Type: "x", Tags: map[string]any{"a": "secret\xff"}}},
		"event 1 of those emitted: a tag cannot be marshalled":             {{Type: "x", Tags: map[string]any{"a": func() {}}}},
		"event 2 of those emitted: it has the ID of an earlier one":        {{Type: "x", ID: "secret"}, {Type: "y", ID: "secret"}},
		"event 1 of those emitted: its Fields cannot be marshalled":        {{Type: "x", Fields: func() {}}},
		"event 1 of those emitted: its Fields are not an object":           {{Type: "x", Fields: []string{"secret"}}},
		"event 1 of those emitted: its Fields are not an object ":          {{Type: "x", Fields: "secret"}},
		"event 1 of those emitted: its Fields are not an object  ":         {{Type: "x", Fields: json.RawMessage(`5`)}},
		"event 2 of those emitted: its Fields are not an object":           {{Type: "x"}, {Type: "x", Fields: (*struct{})(nil)}},
		"event 1 of those emitted: its Fields make it look like a CloudEv": {{Type: "x", Fields: map[string]string{"detail-type": "secret", "source": "s", "detail": "d"}}},
	} {
		w := newWorld(t, []rules.Rule{{ID: "r", Emit: func(*mes.MicroEventStore, []mes.Event) ([]rules.Emission, error) { return emissions, nil }}})
		w.save(event(t, "1", "a", "p", 0))
		err := w.fire()
		require.ErrorContains(t, err, strings.TrimSpace(want))
		require.True(t, mes.IsPermanent(err))
		require.NotContains(t, err.Error(), "secret")
		require.Empty(t, w.stream.ids())
	}
}

func TestCopiesOfEventsWithoutAnObjectForData(t *testing.T) {
	const cloud = `{"specversion":"1.0","id":"1","source":"/s","type":"t","time":"2024-01-01T00:00:00Z"`
	for text, fault := range map[string]bool{
		cloud + `}`:                      false,
		cloud + `,"data":null}`:          false,
		cloud + `,"data_base64":"AAAA"}`: false,
		cloud + `,"data":"text"}`:        true,
	} {
		w := newWorld(t, []rules.Rule{{ID: "r", Emit: rules.Copy("x")}}, mes.WithHashKey(func(mes.Event) (string, error) { return "k", nil }))
		e, err := mes.Parse([]byte(text))
		require.NoError(t, err)
		w.save(e)
		err = w.fire()
		require.Equal(t, fault, mes.IsPermanent(err), "%s: %v", text, err)
		require.Equal(t, fault, len(w.stream.ids()) == 0)
		if fault {
			require.ErrorContains(t, err, "the data of the event that fired is not a JSON object")
		}
	}
}

func TestAPublisherThatIsNil(t *testing.T) {
	store, err := mes.New(memorytable.New())
	require.NoError(t, err)
	list := []rules.Rule{{ID: "a", Emit: rules.One("x")}}
	_, err = rules.New(store, mes.PublisherFunc(nil), list)
	require.ErrorContains(t, err, "the publisher is nil")
	require.ErrorContains(t, mes.PublisherFunc(nil).Publish(t.Context()), "is nil")

	// And one that returns an error of a type that is nil.
	var none *mes.PublishError
	for _, wrong := range []error{none, fmt.Errorf("publish: %w", none)} {
		require.False(t, mes.IsPermanent(wrong))
		w := newWorld(t, list)
		w.save(event(t, "1", "a", "p", 0))
		w.stream.after = func([]mes.Event) error { return wrong }
		err = w.fire()
		require.ErrorContains(t, err, "a nil *PublishError")
		require.NotContains(t, err.Error(), "panic")
	}
}

func TestHandleIsAHandlerOfItsOwn(t *testing.T) {
	store, err := mes.New(memorytable.New())
	require.NoError(t, err)
	sent := new(stream)
	evaluator, err := rules.New(store, sent, []rules.Rule{ready(), {ID: "each", Emit: rules.One("x")}})
	require.NoError(t, err)
	history := mestest.History(t, "p", event(t, "1", "paid", "p", 1), event(t, "2", "packed", "p", 2))
	for range 2 {
		require.NoError(t, evaluator.Handle(t.Context(), history))
	}
	require.Equal(t, []string{"2.ready", "2.each", "2.each"}, sent.ids())
	require.NoError(t, evaluator.Handle(t.Context(), &mes.MicroEventStore{HashKey: "q", Current: event(t, "3", "a", "q", 1)}))
	require.Equal(t, "3.each", sent.ids()[3])
}

func TestHaveHoldsForNoTypesAtAllNever(t *testing.T) {
	causes, err := rules.Have()(mestest.History(t, "p", event(t, "1", "paid", "p", 1)))
	require.NoError(t, err)
	require.Empty(t, causes)
	causes, err = rules.Have("a", "b")(mestest.History(t, "p", event(t, "1", "b", "p", 1), event(t, "2", "b", "p", 2), event(t, "3", "a", "p", 3)))
	require.NoError(t, err)
	require.Len(t, causes, 2)
	require.Equal(t, "1", causes[0].ID)
}

func TestErrorsHoldNeitherKeysNorPayloads(t *testing.T) {
	w := newWorld(t, []rules.Rule{
		{ID: "r1", Emit: func(*mes.MicroEventStore, []mes.Event) ([]rules.Emission, error) {
			return []rules.Emission{{Type: "x", Fields: "secret"}}, nil
		}},
		{ID: "r2", Emit: func(*mes.MicroEventStore, []mes.Event) ([]rules.Emission, error) { panic("secret") }},
		{ID: "r3", Correlate: func(m *mes.MicroEventStore, _ []mes.Event) (string, error) { return m.HashKey + "\xff", nil }},
	})
	w.save(event(t, "secret-1", "a", "secret", 1, `"x":"secret"`))
	err := w.fire()
	require.Error(t, err)
	require.NotContains(t, err.Error(), "secret")
}

func ExampleNew() {
	table := memorytable.New()
	store, _ := mes.New(table, mes.WithTTL(mes.NeverExpire()))
	publisher := mes.PublisherFunc(func(_ context.Context, events ...mes.Event) error {
		for _, e := range events {
			fmt.Println(e.Type, e.PartitionKey)
		}
		return nil
	})
	evaluator, err := rules.New(store, publisher, []rules.Rule{{
		ID:   "order-ready",
		When: rules.Have("order-submitted", "payment-received", "order-packed"),
		Emit: rules.One("order-ready"),
		Once: true,
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	trigger := evaluator.Trigger() // for a host; here, its changes are made by hand
	for i, eventType := range []string{"payment-received", "order-packed", "order-submitted", "order-packed"} {
		e, _ := mes.NewEvent(map[string]any{"id": fmt.Sprint(i), "type": eventType, "timestamp": 1_700_000_000_000 + i, "partitionKey": "order-42"})
		_ = store.Save(context.Background(), e)
		last := table.Changes()[len(table.Changes())-1]
		for _, c := range table.Changes() {
			if c.New.ID == e.ID {
				last = c
			}
		}
		err := trigger.Handle(context.Background(), []mes.Change{{Kind: mes.Inserted, HashKey: last.HashKey, RangeKey: last.RangeKey}})
		if err != nil {
			fmt.Println(err)
		}
	}
	// Output: order-ready order-42
}
