package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/internal/rulestest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTheStory(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out))
	require.Equal(t, `order-packed order-1
order-submitted order-2
payment-received order-1
order-submitted order-1
  emitted order-ready for order-1, id 4.order-ready
order-submitted order-1
payment-received order-2
order-packed order-1
`, out.String())
}

func service() rulestest.Service { return rulestest.Service{Filter: collected(), Rules: decisions} }

func TestEveryReadyOrderIsReadyOnceWhateverHappens(t *testing.T) {
	types := []string{"order-submitted", "payment-received", "order-packed"}
	rulestest.Crashes(t, service(), rulestest.Scenario{
		Events: func(rt *rapid.T, now time.Time) (events []mes.Event) {
			for i := range rapid.IntRange(0, 14).Draw(rt, "events") {
				e, err := mes.NewEvent(map[string]any{
					"id": fmt.Sprint(i), "type": rapid.SampledFrom(types).Draw(rt, "type"),
					"partitionKey": rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "order"),
					"timestamp":    now.UnixMilli() + rapid.Int64Range(-5000, 5000).Draw(rt, "time"),
				})
				require.NoError(rt, err)
				events = append(events, e)
			}
			return events
		},
		Want: func(events []mes.Event) (want []string) {
			for _, order := range []string{"a", "b"} {
				all := !slices.ContainsFunc(types, func(eventType string) bool {
					return !slices.ContainsFunc(events, func(e mes.Event) bool { return e.Type == eventType && e.PartitionKey == order })
				})
				if all {
					want = append(want, "order-ready "+order)
				}
			}
			return want
		},
	})
}

// At MES_DYNAMODB_ENDPOINT and MES_KINESIS_ENDPOINT.
func TestIntegrationTheStoryOnServers(t *testing.T) {
	rulestest.OnServers(t, service(), story(time.Now()), nil, []string{"order-ready order-1"})
}
