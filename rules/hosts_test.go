package rules_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/boltstore"
	"github.com/microeventstore/microeventstore/dynamostore"
	"github.com/microeventstore/microeventstore/lambdahandler"
	"github.com/microeventstore/microeventstore/rules"
	"github.com/microeventstore/microeventstore/runner"
)

// TestAnExpiryAsLambdaDeliversIt goes all the way from a stream record of DynamoDB
// to the event that is emitted.
func TestAnExpiryAsLambdaDeliversIt(t *testing.T) {
	const identity = `"userIdentity":{"type":"Service","principalId":"dynamodb.amazonaws.com"},`
	for name, test := range map[string]struct {
		identity, rangeKey string
		want               []string
	}{
		"by TTL":              {identity, "0001548967022000#1", []string{"1.expired"}},
		"by hand":             {"", "0001548967022000#1", nil}, // and by TTL in another region: replicas do not say who
		"of a marker by TTL":  {identity, `\u0001once\u0001r\u0001claim`, nil},
		"by a user's service": {`"userIdentity":{"type":"Service","principalId":"other"},`, "0001548967022000#1", nil},
	} {
		t.Run(name, func(t *testing.T) {
			store, err := mes.New(dynamostore.New(dynamodb.New(dynamodb.Options{Region: "eu-west-1"}), "events"))
			require.NoError(t, err)
			sent := new(stream)
			evaluator, err := rules.New(store, sent, []rules.Rule{rules.OnExpired("payment-requested")})
			require.NoError(t, err)
			payload := fmt.Sprintf(`{"Records":[{"eventID":"1","eventName":"REMOVE","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"eu-west-1",%s
				"dynamodb":{"ApproximateCreationDateTime":1548970000,"Keys":{"partitionKey":{"S":"p"},"eventId":{"S":"%[2]s"}},
				"OldImage":{"partitionKey":{"S":"p"},"eventId":{"S":"%[2]s"},"ttl":{"N":"1548967922"},
					"event":{"S":"{\"id\":\"1\",\"type\":\"payment-requested\",\"partitionKey\":\"p\",\"timestamp\":1548967022000}"}},
				"SequenceNumber":"111","SizeBytes":200,"StreamViewType":"NEW_AND_OLD_IMAGES"},
				"eventSourceARN":"arn:aws:dynamodb:eu-west-1:123456789012:table/events/stream/2024-01-01T00:00:00.000"}]}`, test.identity, test.rangeKey)
			answer, err := lambdahandler.DynamoDB(evaluator.Trigger()).Invoke(t.Context(), []byte(payload))
			require.NoError(t, err)
			require.JSONEq(t, `{"batchItemFailures":[]}`, string(answer))
			require.ElementsMatch(t, test.want, sent.ids())
			for _, e := range sent.take() {
				require.Equal(t, "payment-requested-expired", e.Type)
				require.EqualValues(t, 1548967922, e.Timestamp.Unix(), "the expiry")
			}
		})
	}
}

// TestAClaimIsPublishedThoughTheFileHasForgottenTheEvent: the one-file table's feed
// has no event for a change once that was removed.
func TestAClaimIsPublishedThoughTheFileHasForgottenTheEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table, err := boltstore.Open(filepath.Join(t.TempDir(), "events.db"))
		require.NoError(t, err)
		defer func() { require.NoError(t, table.Close()) }()
		store, err := mes.New(table, mes.WithTTL(mes.ExpireAfter(time.Hour)))
		require.NoError(t, err)
		sent := &stream{before: func([]mes.Event) error { return errCrash }}
		evaluator, err := rules.New(store, sent, []rules.Rule{ready(), rules.OnExpired("paid")})
		require.NoError(t, err)
		seconds := int(time.Since(t0()).Seconds())
		require.NoError(t, store.Save(t.Context(), event(t, "1", "paid", "p", seconds), event(t, "2", "packed", "p", seconds), event(t, "3", "paid", "q", seconds)))
		run := func() {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			defer cancel()
			require.NoError(t, runner.Trigger(ctx, table.Changes("rules"), evaluator.Trigger(), runner.UntilCaughtUp()))
		}
		run() // until its time is over: it cannot publish
		require.Empty(t, sent.ids())
		sent.before = nil
		time.Sleep(2 * time.Hour)
		_, err = table.Sweep(t.Context()) // should it not have done so by itself
		require.NoError(t, err)
		m, err := store.GetMicroEventStore(t.Context(), "p")
		require.NoError(t, err)
		require.Empty(t, m.Events)
		run()
		ids := sent.ids()
		slices.Sort(ids)
		require.Equal(t, []string{"1.expired", "1.ready", "3.expired"}, ids)
	})
}
