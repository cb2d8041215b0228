package rules_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/rules"
)

// The tests of this file are named for the flavors of aws-lambda-stream whose
// behaviour they hold us to, and use inputs like those of its own tests.

func TestFlavorCollect(t *testing.T) {
	thing := func(id string) mes.Event {
		return event(t, id, "thing-created", "11", 0, `"thing":{"id":"11","group":"g1"}`, `"tags":{"user":"u1"}`)
	}
	for name, test := range map[string]struct {
		key  mes.HashKeyFunc
		want string
	}{
		"by the partition key": {mes.PartitionKey(), "11"},
		"by a path":            {mes.Field("thing.group"), "g1"},
		"by a function":        {func(e mes.Event) (string, error) { return e.PartitionKey + "|" + e.ID, nil }, "11|1"},
		"by a tag":             {mes.Tag("user"), "u1"},
		"with a suffix":        {mes.Suffix(".seven", mes.PartitionKey()), "11.seven"},
		"with a prefix":        {mes.Prefix("thing#", mes.PartitionKey()), "thing#11"},
	} {
		t.Run(name, func(t *testing.T) {
			rule := rules.Rule{ID: "r", Types: []string{"thing-created"}, Emit: rules.One("seen")}
			w := newWorld(t, []rules.Rule{rule}, mes.WithHashKey(test.key))
			w.save(thing("1"))
			w.save(thing("1"))
			require.NoError(t, w.fire())
			m, err := w.store.GetMicroEventStore(t.Context(), test.want)
			require.NoError(t, err)
			require.Len(t, m.Events, 1)
			require.Equal(t, []string{"1.r"}, w.stream.ids(), "collecting is idempotent")
		})
	}
}

func TestFlavorEvaluateSimpleRules(t *testing.T) {
	w := newWorld(t, []rules.Rule{
		{ID: "eval1-basic-emit", Types: []string{"e1"}, Emit: rules.Copy("e111")},
		{ID: "eval2-single-emit", Types: []string{"e2"}, Emit: func(m *mes.MicroEventStore, _ []mes.Event) ([]rules.Emission, error) {
			thing, _ := m.Current.Field("thing")
			return []rules.Emission{{Type: "e222", Fields: map[string]any{"thing": thing}}}, nil
		}},
		{ID: "eval3-multi-emit", Types: []string{"e3"}, Emit: func(m *mes.MicroEventStore, causes []mes.Event) ([]rules.Emission, error) {
			require.Len(t, m.Events, 1)
			require.Equal(t, m.Events, causes)
			return []rules.Emission{{Type: "e333.1"}, {Type: "e333.2"}}, nil
		}},
		{ID: "eval-none", Types: []string{"e1"}, Emit: func(*mes.MicroEventStore, []mes.Event) ([]rules.Emission, error) { return nil, nil }},
		{ID: "eval-filter", Types: []string{"e1", "e2", "e3"}, Filter: mes.HasTag("a", "b"), Emit: rules.One("filtered")},
	})
	thing := `"thing":{"id":"11","name":"Thing One"}`
	w.save(event(t, "1", "e1", "11", 0, thing, `"tags":{"region":"us-west-2","source":"other","x":1}`),
		event(t, "2", "e2", "22", 0, thing), event(t, "3", "e3", "33", 0, thing), event(t, "4", "e4", "44", 0, `"tags":{"a":"b"}`))
	w.table.ResetCounts()
	require.NoError(t, w.fire())
	require.Zero(t, w.table.Counts().Queries, "no history is read for simple rules")
	require.ElementsMatch(t, []string{"1.eval1-basic-emit", "2.eval2-single-emit", "3.eval3-multi-emit.1", "3.eval3-multi-emit.2"}, w.stream.ids())
	for _, e := range w.stream.take() {
		switch e.ID {
		case "1.eval1-basic-emit":
			require.JSONEq(t, `{"id":"1.eval1-basic-emit","type":"e111","timestamp":1548967022000,"partitionKey":"11",
				"thing":{"id":"11","name":"Thing One"},"tags":{"source":"test","x":1},
				"triggers":[{"id":"1","type":"e1","timestamp":1548967022000}]}`, string(e.Raw))
		case "2.eval2-single-emit":
			require.JSONEq(t, `{"id":"2.eval2-single-emit","type":"e222","timestamp":1548967022000,"partitionKey":"22",
				"thing":{"id":"11","name":"Thing One"},"tags":{"source":"test"},
				"triggers":[{"id":"2","type":"e2","timestamp":1548967022000}]}`, string(e.Raw))
		}
	}
}

func TestFlavorEvaluateComplexRules(t *testing.T) {
	w := newWorld(t, []rules.Rule{
		{ID: "eval4", Types: []string{"e4"}, Emit: rules.One("e444"), When: func(m *mes.MicroEventStore) ([]mes.Event, error) { // true
			return []mes.Event{m.Current}, nil
		}},
		{ID: "eval5", Types: []string{"e5"}, Emit: rules.One("e555"), When: func(m *mes.MicroEventStore) ([]mes.Event, error) { // events
			return m.Filter(mes.Types("e51", "e52")), nil
		}},
		{ID: "eval6", Types: []string{"e5"}, Emit: rules.One("never"), When: func(*mes.MicroEventStore) ([]mes.Event, error) { // false
			return nil, nil
		}},
	})
	w.save(event(t, "51", "e51", "55", 1, `"tags":{"a":"1","b":"1"}`), event(t, "52", "e52", "55", 2, `"tags":{"b":"2"}`), event(t, "5", "e5", "55", 0),
		event(t, "4", "e4", "44", 0))
	w.table.ResetCounts()
	require.NoError(t, w.fire())
	require.Equal(t, 2, w.table.Counts().Queries, "one for each key that needs its history")
	emitted := w.stream.take()
	require.Len(t, emitted, 2)
	for _, e := range emitted {
		if e.ID == "5.eval5" {
			require.JSONEq(t, `{"id":"5.eval5","type":"e555","timestamp":1548967024000,"partitionKey":"55","tags":{"a":"1","b":"2","source":"test"},
				"triggers":[{"id":"51","type":"e51","timestamp":1548967023000},{"id":"52","type":"e52","timestamp":1548967024000}]}`, string(e.Raw))
		}
	}
}

func TestFlavorEvaluateCorrelationRules(t *testing.T) {
	// A suffix keeps two rules' collations of one key apart.
	holds := func(m *mes.MicroEventStore) ([]mes.Event, error) { return m.Events, nil }
	w := newWorld(t, []rules.Rule{
		{ID: "eval6", Types: []string{"e6"}, KeyPrefix: "all#", When: holds, Emit: rules.One("e666")},
		{ID: "eval7", Types: []string{"e7"}, KeySuffix: ".seven", When: holds, Emit: rules.One("e777")},
		{ID: "eval8", Types: []string{"e7"}, KeySuffix: ".seventy", When: holds, Emit: rules.One("e888")},
	}, mes.WithHashKey(mes.Prefix("all#", mes.PartitionKey()), mes.Suffix(".seven", onlyType("e7"))))
	w.save(event(t, "6", "e6", "66", 0), event(t, "7", "e7", "77", 0))
	require.NoError(t, w.fire())
	require.ElementsMatch(t, []string{"6.eval6", "7.eval7"}, w.stream.ids())
	for _, e := range w.stream.take() {
		require.Equal(t, map[string]string{"6.eval6": "66", "7.eval7": "77"}[e.ID], e.PartitionKey)
	}
}

func onlyType(eventType string) mes.HashKeyFunc {
	return func(e mes.Event) (string, error) {
		if e.Type != eventType {
			return "", nil
		}
		return e.PartitionKey, nil
	}
}

func TestFlavorCorrelate(t *testing.T) {
	for name, correlate := range map[string]func(*mes.MicroEventStore, []mes.Event) (string, error){
		"by a path": func(m *mes.MicroEventStore, _ []mes.Event) (string, error) {
			return mes.Prefix("group#", mes.Field("thing.group"))(m.Current)
		},
		"by a function": func(m *mes.MicroEventStore, causes []mes.Event) (string, error) {
			require.Equal(t, []mes.Event{m.Current}, causes)
			return "group#g1", nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, []rules.Rule{
				{ID: "crl1", Types: []string{"thing-created"}, KeyPrefix: "thing#", Correlate: correlate},
				{ID: "crl2", Types: []string{"thing-created"}, KeyPrefix: "thing#", Correlate: func(m *mes.MicroEventStore, _ []mes.Event) (string, error) {
					return mes.Suffix(".crl2", mes.Prefix("group#", mes.Field("thing.group")))(m.Current)
				}},
				{ID: "none", Types: []string{"thing-created"}, KeyPrefix: "thing#", Correlate: func(*mes.MicroEventStore, []mes.Event) (string, error) { return "", nil }},
				{ID: "grouped", KeyPrefix: "group#", KeySuffix: ".crl2", When: rules.Have("thing-created"), Emit: rules.One("grouped")},
			}, mes.WithHashKey(mes.Prefix("thing#", mes.PartitionKey())), mes.WithTTL(mes.ExpireAfter(50*365*24*time.Hour)))
			w.save(event(t, "1", "thing-created", "11", 0, `"thing":{"group":"g1"}`), event(t, "2", "thing-created", "22", 1, `"thing":{"group":"g1"}`))
			require.NoError(t, w.fire())
			require.NoError(t, w.fire(), "the changes that putting back has made")
			for _, key := range []string{"group#g1", "group#g1.crl2"} {
				m, err := w.store.GetMicroEventStore(t.Context(), key)
				require.NoError(t, err)
				require.Len(t, m.Events, 2)
				own, err := w.store.GetMicroEventStore(t.Context(), "thing#22")
				require.NoError(t, err)
				require.Equal(t, own.Events[0], m.Events[1], "its range key and time of expiry too")
			}
			require.ElementsMatch(t, []string{"1.grouped", "2.grouped"}, w.stream.ids())
			require.Equal(t, "g1", w.stream.take()[0].PartitionKey)

			w.handled = 0 // all is delivered again
			before := len(w.table.Changes())
			require.NoError(t, w.fire())
			require.Len(t, w.table.Changes(), before, "nothing has changed by it")
		})
	}
}

func TestFlavorExpired(t *testing.T) {
	custom := rules.OnExpired("e3")
	custom.ID, custom.Emit = "late", rules.Copy("e3-overdue")
	list := []rules.Rule{rules.OnExpired("e1", "e.2"), custom}
	w := newWorld(t, list, mes.WithTTL(mes.ExpireAfter(time.Hour)))
	now := time.Now().Add(-time.Hour - time.Minute).Truncate(time.Second)
	raw := func(id, eventType string) mes.Event {
		e, err := mes.NewEvent(map[string]any{"id": id, "type": eventType, "timestamp": now.UnixMilli(), "partitionKey": "p", "n": 1, "tags": map[string]string{"a": "b"}})
		require.NoError(t, err)
		return e
	}
	w.save(raw("1", "e1"), raw("2", "e.2"), raw("3", "e3"), raw("4", "e4"))
	require.NoError(t, w.fire())
	require.Empty(t, w.stream.ids(), "they have expired before they could fire")
	require.Equal(t, 4, w.table.Expire(time.Now()))
	require.NoError(t, w.fire())

	want := map[string]string{"1.expired": "e1-expired", "2.expired": "e.2.expired", "3.late": "e3-overdue"}
	emitted := w.stream.take()
	require.Len(t, emitted, len(want))
	for _, e := range emitted {
		require.Equal(t, want[e.ID], e.Type)
		require.Equal(t, now.Add(time.Hour).UTC(), e.Timestamp)
		require.Equal(t, "p", e.PartitionKey)
		v := decoded(t, e)
		require.Contains(t, v, "n")
		require.Equal(t, map[string]any{"a": "b", "source": "test"}, v["tags"])
		require.Len(t, v["triggers"], 1)
	}
	w.handled = 0
	require.NoError(t, w.fire())
	require.Equal(t, emitted, w.stream.take(), "the same again")
}

func TestARemovalByHandIsNotAnExpiry(t *testing.T) {
	w := newWorld(t, []rules.Rule{rules.OnExpired()})
	w.save(event(t, "1", "e1", "p", 0))
	require.NoError(t, w.store.Delete(t.Context(), "p"))
	changes := w.changes(0)
	require.Equal(t, mes.Removed, changes[1].Kind)
	require.NoError(t, w.fire())
	require.Empty(t, w.stream.ids())

	// A replica's removal reaches a host without the mark of an expiry.
	changes[1].Meta.Region = "eu-west-1"
	require.NoError(t, w.trigger.Handle(t.Context(), changes[1:]))
	require.Empty(t, w.stream.ids())
}

func TestAnExpiryWithoutTheOldImageIsSaidToBeMissing(t *testing.T) {
	w := newWorld(t, []rules.Rule{rules.OnExpired()})
	err := w.trigger.Handle(t.Context(), []mes.Change{{Kind: mes.Removed, HashKey: "p", RangeKey: "1", Expired: true}})
	require.ErrorContains(t, err, "old images")
	require.False(t, mes.IsPermanent(err), "it is the table's fault, not the change's")
}

func TestFlavorFaultsOfARuleWhileOthersGoOn(t *testing.T) {
	for name, test := range map[string]struct {
		bad       rules.Rule
		permanent bool
	}{
		"an error in When": {rules.Rule{When: func(*mes.MicroEventStore) ([]mes.Event, error) { return nil, mes.Permanent(errCrash) }, Emit: rules.One("x")}, true},
		"an error in Emit": {rules.Rule{Emit: func(*mes.MicroEventStore, []mes.Event) ([]rules.Emission, error) {
			return nil, mes.Permanent(errCrash)
		}}, true},
		"an error that may pass": {rules.Rule{When: func(*mes.MicroEventStore) ([]mes.Event, error) { return nil, errCrash }, Emit: rules.One("x")}, false},
		"a panic in When":        {rules.Rule{When: func(*mes.MicroEventStore) ([]mes.Event, error) { panic("x") }, Emit: rules.One("x")}, false},
		"a panic in Emit":        {rules.Rule{Emit: func(*mes.MicroEventStore, []mes.Event) ([]rules.Emission, error) { panic("x") }}, false},
		"a panic in a filter":    {rules.Rule{Filter: func(mes.Event) bool { panic("x") }, Emit: rules.One("x")}, false},
		"an event without type":  {rules.Rule{Emit: rules.One("")}, true},
		"an envelope in Fields": {rules.Rule{Emit: func(*mes.MicroEventStore, []mes.Event) ([]rules.Emission, error) {
			return []rules.Emission{{Type: "x", Fields: map[string]int{"id": 1}}}, nil
		}}, true},
		"Fields that are a list": {rules.Rule{Emit: func(*mes.MicroEventStore, []mes.Event) ([]rules.Emission, error) {
			return []rules.Emission{{Type: "x", Fields: []int{1}}}, nil
		}}, true},
		"a key that is refused": {rules.Rule{Correlate: func(*mes.MicroEventStore, []mes.Event) (string, error) { return "\xff", nil }}, true},
		"a panic in Correlate":  {rules.Rule{Correlate: func(*mes.MicroEventStore, []mes.Event) (string, error) { panic("x") }}, false},
	} {
		t.Run(name, func(t *testing.T) {
			test.bad.ID = "bad"
			good := rules.Rule{ID: "good", When: rules.Have("e1"), Emit: rules.One("ok")}
			w := newWorld(t, []rules.Rule{test.bad, good})
			w.save(event(t, "1", "e1", "p", 0))
			err := w.fire()
			require.ErrorContains(t, err, `rule "bad"`)
			require.Equal(t, test.permanent, mes.IsPermanent(err))
			require.Equal(t, []string{"1.good"}, w.stream.ids())

			// Whoever sets faults aside goes on.
			var faults []mes.Fault
			w.use([]rules.Rule{test.bad, good}, mes.WithFaultHandler(func(_ context.Context, fault mes.Fault) error {
				faults = append(faults, fault)
				return nil
			}))
			err = w.fire()
			require.Equal(t, test.permanent, err == nil, "%v", err)
			require.Equal(t, test.permanent, len(faults) == 1)
			require.Equal(t, []string{"1.good", "1.good"}, w.stream.ids(), "the same id")
		})
	}
}
