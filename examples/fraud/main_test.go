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
	require.Equal(t, `0 card-charged ann
1 card-charged bob
2 card-charged ann
3 card-charged bob
4 card-charged ann
5 card-charged ann
6 card-charged bob
7 card-charged bob
8 card-charged bob
9 card-charged ann
  emitted fraud-suspected for ann, id 9.fraud, because of [{0} {9} {2} {4} {5}]
10 card-charged ann
`, out.String())
}

func service() rulestest.Service {
	return rulestest.Service{Options: options(), Filter: collected(), Rules: decisions}
}

func TestEveryFraudIsSuspectedOnceWhateverHappens(t *testing.T) {
	users := []string{"ann", "bob"}
	rulestest.Crashes(t, service(), rulestest.Scenario{
		Events: func(rt *rapid.T, now time.Time) (events []mes.Event) {
			for i := range rapid.IntRange(0, 16).Draw(rt, "events") {
				e, err := mes.NewEvent(map[string]any{
					"id": fmt.Sprint(i), "type": rapid.SampledFrom([]string{"card-charged", "card-declined"}).Draw(rt, "type"),
					"partitionKey": fmt.Sprint("order-", i), "timestamp": now.Add(time.Duration(rapid.IntRange(-40, 0).Draw(rt, "minutes")) * time.Minute).UnixMilli(),
					"tags": map[string]string{"user": rapid.SampledFrom(users).Draw(rt, "user")},
				})
				require.NoError(rt, err)
				events = append(events, e)
			}
			return events
		},
		Want: func(events []mes.Event) (want []string) {
			for _, user := range users {
				// By counting, for each event, those up to ten minutes after it.
				if slices.ContainsFunc(events, func(first mes.Event) bool {
					n := 0
					for _, e := range events {
						by, _ := e.Tag("user")
						after := e.Timestamp.Sub(first.Timestamp)
						if by == user && after >= 0 && after <= 10*time.Minute {
							n++
						}
					}
					return n >= 5
				}) {
					want = append(want, "fraud-suspected "+user)
				}
			}
			return want
		},
	})
}

// At MES_DYNAMODB_ENDPOINT and MES_KINESIS_ENDPOINT.
func TestIntegrationTheStoryOnServers(t *testing.T) {
	rulestest.OnServers(t, service(), story(time.Now()), nil, []string{"fraud-suspected ann"})
}
