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
	"github.com/microeventstore/microeventstore/mestest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTheStory(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out))
	require.Equal(t, `payment-requested payment-1
payment-requested payment-2
payment-received payment-1
payment-requested payment-3
3 have expired
  emitted payment-requested-expired for payment-1, id 0.expired
  emitted payment-requested-expired for payment-2, id 1.expired
  emitted payment-requested-expired for payment-3, id 3.expired
  emitted payment-timed-out for payment-2, id 1.expired.timed-out
  emitted payment-timed-out for payment-3, id 3.expired.timed-out
`, out.String())
}

func service() rulestest.Service {
	return rulestest.Service{Options: options(), Filter: collected(), Rules: decisions}
}

func TestEveryMissingAnswerIsNoticedOnceWhateverHappens(t *testing.T) {
	payments := []string{"a", "b", "c"}
	rulestest.Crashes(t, service(), rulestest.Scenario{
		Wait:   time.Hour,
		Ignore: []string{"payment-requested-expired"}, // each of them is one
		Events: func(rt *rapid.T, now time.Time) (events []mes.Event) {
			for i := range rapid.IntRange(0, 8).Draw(rt, "events") {
				e, err := mes.NewEvent(map[string]any{
					"id": fmt.Sprint(i), "type": rapid.SampledFrom([]string{"payment-requested", "payment-received"}).Draw(rt, "type"),
					"partitionKey": rapid.SampledFrom(payments).Draw(rt, "payment"),
					"timestamp":    now.Add(time.Duration(rapid.IntRange(-20, 10).Draw(rt, "minutes")) * time.Minute).UnixMilli(),
				})
				require.NoError(rt, err)
				events = append(events, e)
			}
			return events
		},
		Want: func(events []mes.Event) (want []string) {
			for _, payment := range payments {
				there := func(eventType string) bool {
					return slices.ContainsFunc(events, func(e mes.Event) bool { return e.Type == eventType && e.PartitionKey == payment })
				}
				if there("payment-requested") && !there("payment-received") {
					want = append(want, "payment-timed-out "+payment)
				}
			}
			return want
		},
	})
}

// At MES_DYNAMODB_ENDPOINT and MES_KINESIS_ENDPOINT. The expiries are made by hand:
// DynamoDB takes days for them, and its stand-ins do not tell them from others.
func TestIntegrationTheStoryOnServers(t *testing.T) {
	records := story(time.Now())
	var expiries []mes.Change
	for _, record := range records {
		old := mestest.Event(t, record.Data)
		if old.Type != "payment-requested" {
			continue
		}
		expiry := mestest.Inserts(t, old.PartitionKey, old)[0]
		old.Expires = old.Timestamp.Add(patience)
		expiry.Kind, expiry.New, expiry.Old, expiry.Expired = mes.Removed, nil, &old, true
		expiries = append(expiries, expiry)
	}
	rulestest.OnServers(t, service(), records, expiries,
		[]string{"payment-timed-out payment-2", "payment-timed-out payment-3"}, "payment-requested-expired")
}
