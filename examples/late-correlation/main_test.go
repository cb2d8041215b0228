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
	require.Equal(t, `0 order-submitted
1 parcel-scanned
2 label-printed
3 parcel-delivered
4 parcel-delivered
  emitted order-fulfilled for 42, id 4.fulfilled
5 order-submitted
6 label-printed
  emitted order-fulfilled for 43, id 3.fulfilled
the history of order 42:
  order-submitted
  parcel-scanned
  label-printed
  parcel-delivered
`, out.String())
}

func service() rulestest.Service {
	return rulestest.Service{Options: options(), Filter: collected(), Rules: decisions}
}

func TestEveryOrderIsFulfilledOnceWhateverHappens(t *testing.T) {
	orders := []string{"1", "2"} // their tracking numbers are T1 and T2
	rulestest.Crashes(t, service(), rulestest.Scenario{
		Events: func(rt *rapid.T, now time.Time) (events []mes.Event) {
			for i := range rapid.IntRange(0, 12).Draw(rt, "events") {
				eventType := rapid.SampledFrom([]string{"order-submitted", "label-printed", "parcel-scanned", "parcel-delivered"}).Draw(rt, "type")
				order := rapid.SampledFrom(orders).Draw(rt, "order")
				v := map[string]any{"id": fmt.Sprint(i), "type": eventType, "timestamp": now.UnixMilli() + rapid.Int64Range(-5000, 5000).Draw(rt, "time")}
				if eventType == "order-submitted" || eventType == "label-printed" {
					v["order"] = order
				}
				if eventType != "order-submitted" {
					v["tracking"] = "T" + order
				}
				e, err := mes.NewEvent(v)
				require.NoError(rt, err)
				events = append(events, e)
			}
			return events
		},
		Want: func(events []mes.Event) (want []string) {
			for _, order := range orders {
				there := func(eventType, field, value string) bool {
					return slices.ContainsFunc(events, func(e mes.Event) bool {
						got, _ := e.Field(field)
						return e.Type == eventType && string(got) == fmt.Sprintf("%q", value)
					})
				}
				if there("order-submitted", "order", order) && there("label-printed", "order", order) && there("parcel-delivered", "tracking", "T"+order) {
					want = append(want, "order-fulfilled "+order)
				}
			}
			return want
		},
	})
}

// At MES_DYNAMODB_ENDPOINT and MES_KINESIS_ENDPOINT.
func TestIntegrationTheStoryOnServers(t *testing.T) {
	rulestest.OnServers(t, service(), story(time.Now()), nil, []string{"order-fulfilled 42", "order-fulfilled 43"})
}
