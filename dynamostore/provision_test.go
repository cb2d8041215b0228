package dynamostore

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	smithy "github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"
)

// A control is a server's control plane, in memory: a table takes time to become
// active.
type control struct {
	mu      sync.Mutex
	created bool
	ready   time.Time
	keys    string // pk:S,sk:S
	stream  string
	ttl     string // the attribute
	status  string // of the TTL
	seen    []string
}

func (s *control) answer(c call) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, c.operation)
	if c.operation != "CreateTable" && !s.created {
		return refusal("ResourceNotFoundException", "Requested resource not found"), nil
	}
	switch c.operation {
	case "CreateTable":
		if s.created {
			return refusal("ResourceInUseException", "Table already exists"), nil
		}
		var sent struct {
			BillingMode          string
			AttributeDefinitions []struct{ AttributeName, AttributeType string }
			KeySchema            []struct{ AttributeName, KeyType string }
			StreamSpecification  struct{ StreamViewType string }
		}
		if err := json.Unmarshal(c.body, &sent); err != nil {
			return nil, err
		}
		if sent.BillingMode != "PAY_PER_REQUEST" || sent.KeySchema[0].KeyType != "HASH" || sent.KeySchema[1].KeyType != "RANGE" {
			return refusal("ValidationException", "no"), nil
		}
		s.created, s.ready, s.stream = true, time.Now().Add(10*time.Second), sent.StreamSpecification.StreamViewType
		s.keys = fmt.Sprintf("%s:%s,%s:%s", sent.KeySchema[0].AttributeName, sent.AttributeDefinitions[0].AttributeType,
			sent.KeySchema[1].AttributeName, sent.AttributeDefinitions[1].AttributeType)
	case "DescribeTable":
	case "UpdateTable":
		if s.stream != "" {
			return refusal("ValidationException", "Table already has an enabled stream"), nil
		}
		var sent struct {
			StreamSpecification struct{ StreamViewType string }
		}
		if err := json.Unmarshal(c.body, &sent); err != nil {
			return nil, err
		}
		s.stream, s.ready = sent.StreamSpecification.StreamViewType, time.Now().Add(10*time.Second)
	case "DescribeTimeToLive":
		return answer(200, fmt.Sprintf(`{"TimeToLiveDescription":{"TimeToLiveStatus":%q,"AttributeName":%q}}`, s.status, s.ttl)), nil
	case "UpdateTimeToLive":
		if s.status == "ENABLED" {
			return refusal("ValidationException", "TimeToLive is already enabled"), nil
		}
		var sent struct {
			TimeToLiveSpecification struct{ AttributeName string }
		}
		if err := json.Unmarshal(c.body, &sent); err != nil {
			return nil, err
		}
		s.ttl, s.status = sent.TimeToLiveSpecification.AttributeName, "ENABLED"
		return answer(200, `{"TimeToLiveSpecification":{"Enabled":true,"AttributeName":"ttl"}}`), nil
	default:
		return nil, fmt.Errorf("Provision called %s", c.operation)
	}
	return answer(200, s.describe()), nil
}

func (s *control) describe() string {
	status := "ACTIVE"
	if time.Now().Before(s.ready) {
		status = "UPDATING"
	}
	hash, rest, _ := strings.Cut(s.keys, ":")
	kind, rest, _ := strings.Cut(rest, ",")
	sort, sortKind, _ := strings.Cut(rest, ":")
	stream := ""
	if s.stream != "" {
		stream = fmt.Sprintf(`,"StreamSpecification":{"StreamEnabled":true,"StreamViewType":%q}`, s.stream)
	}
	table := fmt.Sprintf(`{"TableName":"events","TableStatus":%q%s,"AttributeDefinitions":[{"AttributeName":%q,"AttributeType":%q},{"AttributeName":%q,"AttributeType":%q}],"KeySchema":[{"AttributeName":%q,"KeyType":"HASH"},{"AttributeName":%q,"KeyType":"RANGE"}]}`,
		status, stream, hash, kind, sort, sortKind, hash, sort)
	return fmt.Sprintf(`{"Table":%s,"TableDescription":%s}`, table, table)
}

const goodKeys = "partitionKey:S,eventId:S"

func TestProvisionFinishesWhatIsHalfMade(t *testing.T) {
	for name, from := range map[string]*control{
		"nothing":           {},
		"no stream, no TTL": {created: true, keys: goodKeys, status: "DISABLED"},
		"no TTL":            {created: true, keys: goodKeys, stream: "NEW_AND_OLD_IMAGES", status: "DISABLED"},
		"being made":        {created: true, keys: goodKeys, stream: "NEW_AND_OLD_IMAGES", status: "DISABLED"},
		"all":               {created: true, keys: goodKeys, stream: "NEW_AND_OLD_IMAGES", status: "ENABLED", ttl: "ttl"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if name == "being made" {
					from.ready = time.Now().Add(time.Minute)
				}
				n := 0
				faulty := &stub{answer: func(c call) (*http.Response, error) {
					r, err := from.answer(c)
					if n++; n%3 == 0 { // applied, and the answer lost
						return cut(r), err
					}
					return r, err
				}}
				require.NoError(t, Provision(t.Context(), faulty.client(), "events"))
				s := &stub{answer: from.answer}
				require.NoError(t, Check(t.Context(), s.client(), "events"))
				from.seen = nil
				require.NoError(t, Provision(t.Context(), s.client(), "events"), "again")
				require.Equal(t, []string{"DescribeTable", "DescribeTable", "DescribeTimeToLive"}, from.seen)
			})
		})
	}
}

func TestProvisionDestroysNothing(t *testing.T) {
	for name, from := range map[string]*control{
		"other keys":    {created: true, keys: "pk:S,sk:S", status: "DISABLED"},
		"number":        {created: true, keys: "partitionKey:S,eventId:N", status: "DISABLED"},
		"other stream":  {created: true, keys: goodKeys, stream: "KEYS_ONLY", status: "ENABLED", ttl: "ttl"},
		"other TTL":     {created: true, keys: goodKeys, stream: "NEW_AND_OLD_IMAGES", status: "ENABLED", ttl: "expire"},
		"TTL going off": {created: true, keys: goodKeys, stream: "NEW_AND_OLD_IMAGES", status: "DISABLING", ttl: "ttl"},
	} {
		s := &stub{answer: from.answer}
		var mismatch *MismatchError
		require.ErrorAs(t, Provision(t.Context(), s.client(), "events"), &mismatch, name)
		require.NotEmpty(t, mismatch.Problems)
		for _, operation := range from.seen {
			require.Contains(t, operation, "Describe", name)
		}
		require.ErrorAs(t, Check(t.Context(), s.client(), "events"), &mismatch, name)
	}
}

// Servers that are not AWS may lack streams, TTL or both, each in its own way.
func TestProvisionNamesTheOptionForAServerThatLacksSomething(t *testing.T) {
	for name, test := range map[string]struct {
		operation    string // that is not known
		how          func() (*http.Response, error)
		want, answer string
		without      []Option
	}{
		"stream, as dynalite": {
			"UpdateTable", func() (*http.Response, error) {
				return refusal("ValidationException", "At least one of ProvisionedThroughput or BillingMode is required"), nil
			}, "needs WithoutStream", "At least one of ProvisionedThroughput", []Option{WithoutStream()},
		},
		"stream, unknown": {
			"UpdateTable", func() (*http.Response, error) { return refusal("UnknownOperationException", ""), nil },
			"needs WithoutStream", "UnknownOperation", []Option{WithoutStream()},
		},
		"stream, refused when the table is made": {
			"CreateTable", func() (*http.Response, error) {
				return refusal("ValidationException", "StreamSpecification is not supported"), nil
			},
			"needs WithoutStream", "StreamSpecification is not supported", nil,
		},
		"TTL, as dynalite": {
			"UpdateTimeToLive", func() (*http.Response, error) { return refusal("UnknownOperationException", ""), nil },
			"needs WithoutTTL", "UnknownOperation", []Option{WithoutTTL()},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				from := &control{status: "DISABLED"}
				s := &stub{answer: func(c call) (*http.Response, error) {
					if c.operation == test.operation {
						return test.how()
					}
					r, err := from.answer(c)
					if c.operation == "CreateTable" && test.operation == "UpdateTable" {
						from.stream = "" // it does not mind
					}
					return r, err
				}}
				err := Provision(t.Context(), s.client(), "events")
				require.ErrorContains(t, err, test.want)
				require.ErrorContains(t, err, test.answer)
				require.ErrorContains(t, err, test.operation+" failed")
				var e *Error
				require.ErrorAs(t, err, &e)
				require.Equal(t, test.operation, e.Operation)
				var api smithy.APIError
				require.ErrorAs(t, err, &api, "the SDK's own error")
				if test.without != nil {
					require.NoError(t, Provision(t.Context(), s.client(), "events", test.without...))
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		from := &control{created: true, keys: goodKeys, status: "DISABLED"}
		s := &stub{answer: func(c call) (*http.Response, error) {
			r, err := from.answer(c)
			if c.operation == "UpdateTable" { // and nothing comes of it
				from.stream = ""
			}
			return r, err
		}}
		err := Provision(t.Context(), s.client(), "events")
		var mismatch *MismatchError
		require.ErrorAs(t, err, &mismatch)
		require.ErrorContains(t, err, "its stream is off although it was switched on; a server that has no streams needs WithoutStream")

		refused := &stub{answer: func(c call) (*http.Response, error) {
			if c.operation == "UpdateTable" {
				return refusal("AccessDeniedException", "not authorized"), nil
			}
			return from.answer(c)
		}}
		err = Provision(t.Context(), refused.client(), "events")
		require.ErrorContains(t, err, "AccessDenied")
		require.NotContains(t, err.Error(), "WithoutStream", "it has streams, as far as anybody knows")
	})
}

func TestCheckSaysAllThatDoesNotFit(t *testing.T) {
	from := &control{created: true, keys: "partitionKey:N,sk:S", status: "DISABLED", ready: time.Now().Add(time.Hour)}
	s := &stub{answer: from.answer}
	err := Check(t.Context(), s.client(), "events")
	var mismatch *MismatchError
	require.ErrorAs(t, err, &mismatch)
	require.Equal(t, []string{
		"its HASH key partitionKey is of type N and not S, a string",
		"its RANGE key is sk and not eventId",
		"it is not active but UPDATING",
		"its stream is off",
		"its TTL is off",
	}, mismatch.Problems)
	require.EqualError(t, err, "dynamostore: table events does not fit: "+strings.Join(mismatch.Problems, "; "))

	fits := &control{created: true, keys: goodKeys, stream: "NEW_AND_OLD_IMAGES", status: "ENABLING", ttl: "ttl"}
	s = &stub{answer: fits.answer}
	require.NoError(t, Check(t.Context(), s.client(), "events"))
	require.NoError(t, Check(t.Context(), s.client(), "events", WithStreamView(types.StreamViewTypeNewImage)), "more than was asked for")
	require.NoError(t, Check(t.Context(), s.client(), "events", WithoutStream(), WithoutTTL()))
}

func TestProvisionEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from := &control{created: true, keys: goodKeys, ready: time.Now().Add(time.Hour)}
		s := &stub{answer: from.answer}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.ErrorIs(t, Provision(ctx, s.client(), "events"), context.DeadlineExceeded)
		require.NoError(t, ctx.Err())
		began := time.Now()
		require.ErrorIs(t, Provision(t.Context(), s.client(), "events"), context.DeadlineExceeded)
		require.Equal(t, provisionTime, time.Since(began))
	})
	require.Error(t, Provision(t.Context(), nil, "events", WithParallelism(0)))
	require.Error(t, Check(t.Context(), nil, "events"))
}
