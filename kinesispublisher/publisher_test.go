package kinesispublisher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	smithy "github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/internal/iampolicy"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(iampolicy.Suite{Tests: m, Check: checkCalled})
}

// called are the calls of the package, in all of its tests.
var called = new(iampolicy.Watch)

func checkCalled(all bool) error {
	listed, err := iampolicy.Read("doc.go")
	return errors.Join(err, iampolicy.Compare(iampolicy.Union(listed...), called.Called(), all))
}

// A fake is a stream that takes records, as far as its hook lets it.
type fake struct {
	stored   []types.PutRecordsRequestEntry
	requests [][]types.PutRecordsRequestEntry
	// refuse says which records of a request are refused; an error fails the
	// request.
	refuse func(request int, records []types.PutRecordsRequestEntry) (map[int]string, error)
	answer func(*kinesis.PutRecordsOutput) *kinesis.PutRecordsOutput
}

func (f *fake) PutRecords(ctx context.Context, input *kinesis.PutRecordsInput, opts ...func(*kinesis.Options)) (*kinesis.PutRecordsOutput, error) {
	called.NoteAction("kinesis:PutRecords")
	var options kinesis.Options
	for _, opt := range opts {
		opt(&options)
	}
	if options.Retryer != (aws.NopRetryer{}) {
		return nil, errors.New("the client would retry, too")
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f.requests = append(f.requests, input.Records)
	var refused map[int]string
	if f.refuse != nil {
		var err error
		if refused, err = f.refuse(len(f.requests), input.Records); err != nil {
			return nil, err
		}
	}
	output := &kinesis.PutRecordsOutput{FailedRecordCount: aws.Int32(int32(len(refused)))}
	for i, record := range input.Records {
		if code, ok := refused[i]; ok {
			output.Records = append(output.Records, types.PutRecordsResultEntry{ErrorCode: &code, ErrorMessage: aws.String("secret")})
			continue
		}
		f.stored = append(f.stored, record)
		output.Records = append(output.Records, types.PutRecordsResultEntry{SequenceNumber: aws.String("1"), ShardId: aws.String("s")})
	}
	if f.answer != nil {
		output = f.answer(output)
	}
	return output, nil
}

func (f *fake) texts() []string { return texts(f.stored) }

func texts(records []types.PutRecordsRequestEntry) []string {
	var texts []string
	for _, record := range records {
		texts = append(texts, string(record.Data))
	}
	return texts
}

func anEvent(id, partitionKey string, size int) mes.Event {
	return mes.Event{ID: id, PartitionKey: partitionKey, Raw: []byte(id + strings.Repeat("x", max(0, size-len(id))))}
}

const throttled = "ProvisionedThroughputExceededException"

func failed(t testing.TB, err error) []int {
	t.Helper()
	var partial *mes.PublishError
	require.ErrorAs(t, err, &partial)
	var indexes []int
	for _, failure := range partial.Failures {
		indexes = append(indexes, failure.Index)
	}
	return indexes
}

func TestRecordsAreTheEventsAsTheyAre(t *testing.T) {
	f := new(fake)
	long := strings.Repeat("é", 257)
	require.NoError(t, New(f, "events").Publish(t.Context(), anEvent("1", "p", 0), anEvent("2", "", 0), anEvent("3", long, 0), anEvent("4", long, 0),
		anEvent("5", "\xff", 0), anEvent("6", strings.Repeat("é", 256), 0)))
	require.Equal(t, []string{"1", "2", "3", "4", "5", "6"}, f.texts())
	require.Equal(t, "p", *f.stored[0].PartitionKey)
	require.Equal(t, "2", *f.stored[1].PartitionKey)
	require.Len(t, *f.stored[2].PartitionKey, 7+64)
	require.Equal(t, f.stored[2].PartitionKey, f.stored[3].PartitionKey)
	require.Len(t, *f.stored[4].PartitionKey, 7+64)
	require.Equal(t, strings.Repeat("é", 256), *f.stored[5].PartitionKey)
	require.NoError(t, New(f, "events").Publish(t.Context()))
	require.Len(t, f.requests, 1)
}

func TestPromise11SizesAreCheckedBeforeTheCall(t *testing.T) {
	f := new(fake)
	events := make([]mes.Event, 0, 1203)
	for i := range 1200 {
		events = append(events, anEvent(fmt.Sprint(i), "p", 10))
	}
	events = append(events, anEvent("big", "p", MaxRecordSize-1), anEvent("bigger", "p", MaxRecordSize), anEvent("last", "p", 0))
	err := New(f, "events").Publish(t.Context(), events...)
	require.Equal(t, []int{1201}, failed(t, err))
	require.True(t, mes.IsPermanent(err))
	require.NotContains(t, err.Error(), "bigger")
	require.Len(t, f.stored, 1202)
	for _, request := range f.requests {
		size := 0
		for i := range request {
			size += sizeOf(&request[i])
		}
		require.LessOrEqual(t, len(request), MaxRecords)
		require.True(t, size <= 5<<20 || len(request) == 1, "%d bytes", size)
	}

	f = new(fake)
	for i := range events[:10] {
		events[i] = anEvent(fmt.Sprint(i), "p", 1<<20-1)
	}
	require.NoError(t, New(f, "events").Publish(t.Context(), events[:10]...))
	require.Len(t, f.requests, 2)

	err = New(f, "events", WithMaxRecordSize(1000)).Publish(t.Context(), anEvent("1", "p", 999), anEvent("2", "p", 1000))
	require.Equal(t, []int{1}, failed(t, err))
	require.ErrorContains(t, err, "event 1 is not published: kinesispublisher: the event is 1001 bytes with its partition key and can be at most 1000 (WithMaxRecordSize)")
}

// A stream that was not set to take more than 1 MiB, as all are at first.
func TestARecordThatIsTooLargeForTheStreamKeepsNoOtherBack(t *testing.T) {
	f := &fake{refuse: func(_ int, records []types.PutRecordsRequestEntry) (map[int]string, error) {
		for i := range records {
			if sizeOf(&records[i]) > 1<<20 {
				return nil, &smithy.GenericAPIError{Code: "InvalidArgumentException", Message: "secret"}
			}
		}
		return nil, nil
	}}
	err := New(f, "events").Publish(t.Context(), anEvent("0", "p", 0), anEvent("1", "p", 2<<20), anEvent("2", "p", 1<<20-1), anEvent("3", "q", 1<<20), anEvent("4", "q", 0))
	require.Equal(t, []int{1, 3}, failed(t, err))
	require.Equal(t, "0", string(f.stored[0].Data))
	require.Len(t, f.stored, 3)
	require.Len(t, f.requests, 5)
	require.ErrorContains(t, err, "2097153 bytes")
	require.ErrorContains(t, err, "WithMaxRecordSize")
	require.NotContains(t, err.Error(), "secret")
	require.False(t, mes.IsPermanent(err), "nobody knows for sure that it was the size")
}

func TestAnEventWithoutRawKeepsNoOtherBack(t *testing.T) {
	f := new(fake)
	err := New(f, "events").Publish(t.Context(), mes.Event{ID: "0"}, anEvent("1", "p", 0))
	require.Equal(t, []int{0}, failed(t, err))
	require.True(t, mes.IsPermanent(err))
	require.ErrorContains(t, err, "no Raw")
	require.Equal(t, []string{"1"}, f.texts())
}

func TestAttemptsAreTheRequestsThatGotNothingDone(t *testing.T) {
	for name, test := range map[string]struct {
		refuse func(request int, records []types.PutRecordsRequestEntry) (map[int]string, error)
		want   int
	}{
		"all refused": {func(_ int, records []types.PutRecordsRequestEntry) (map[int]string, error) {
			refused := make(map[int]string)
			for i := range records {
				refused[i] = throttled
			}
			return refused, nil
		}, 3},
		"some taken at first": {func(request int, records []types.PutRecordsRequestEntry) (map[int]string, error) {
			if request == 1 {
				return map[int]string{1: throttled}, nil
			}
			return map[int]string{0: throttled}, nil
		}, 3},
		"not worth another try": {func(int, []types.PutRecordsRequestEntry) (map[int]string, error) {
			return nil, &smithy.GenericAPIError{Code: "AccessDeniedException"}
		}, 1},
		"throttled, then forbidden": {func(request int, _ []types.PutRecordsRequestEntry) (map[int]string, error) {
			if request == 1 {
				return nil, &smithy.GenericAPIError{Code: throttled}
			}
			return nil, &smithy.GenericAPIError{Code: "AccessDeniedException"}
		}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{refuse: test.refuse}
				err := New(f, "events", WithMaxAttempts(3)).Publish(t.Context(), anEvent("1", "p", 0), anEvent("2", "q", 0))
				var e *Error
				require.ErrorAs(t, err, &e)
				require.Equal(t, test.want, e.Attempts)
			})
		})
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	f := new(fake)
	err := New(f, "events").Publish(cancelled, anEvent("1", "p", 0))
	var e *Error
	require.ErrorAs(t, err, &e)
	require.Zero(t, e.Attempts)
	require.Empty(t, f.requests)
}

func TestWhatIsRefusedIsSentAgainInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{refuse: func(request int, _ []types.PutRecordsRequestEntry) (map[int]string, error) {
			if request == 1 {
				return map[int]string{0: throttled, 3: "InternalFailure"}, nil
			}
			return nil, nil
		}}
		events := make([]mes.Event, 0, 502)
		for i := range 502 {
			events = append(events, anEvent(fmt.Sprint(i), fmt.Sprint(i%3), 0))
		}
		began := time.Now()
		require.NoError(t, New(f, "events").Publish(t.Context(), events...))
		require.Len(t, f.stored, 502)
		// 0 and 3 have one key, so they go out one by one, and 501 behind them.
		require.Equal(t, "0", string(f.requests[1][0].Data))
		require.NotContains(t, texts(f.requests[1]), "3")
		require.Equal(t, []string{"0", "500"}, texts(f.requests[1]), "501 has the key of 0")
		require.Equal(t, []string{"3"}, texts(f.requests[2]))
		require.Equal(t, []string{"501"}, texts(f.requests[3]))
		require.LessOrEqual(t, time.Since(began), time.Second)
	})
}

func TestPromise13ItGivesUpWhenNothingGetsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{refuse: func(_ int, records []types.PutRecordsRequestEntry) (map[int]string, error) {
			refused := make(map[int]string)
			for i := range records {
				if *records[i].PartitionKey == "hot" {
					refused[i] = throttled
				}
			}
			return refused, nil
		}}
		err := New(f, "events", WithMaxAttempts(3)).Publish(t.Context(), anEvent("1", "p", 0), anEvent("2", "hot", 0), anEvent("3", "q", 0), anEvent("4", "hot", 0))
		require.Equal(t, []int{1, 3}, failed(t, err))
		require.Equal(t, []string{"1", "3"}, f.texts())
		require.Len(t, f.requests, 4)
		require.False(t, mes.IsPermanent(err))
		require.NotContains(t, err.Error(), "secret")
		var e *Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, throttled, e.Code)
	})
}

func TestPromise12ItReturnsBeforeTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{refuse: func(int, []types.PutRecordsRequestEntry) (map[int]string, error) {
			return map[int]string{0: throttled}, nil
		}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := New(f, "events").Publish(ctx, anEvent("1", "p", 0))
		require.NoError(t, ctx.Err())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Greater(t, len(f.requests), 8)

		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, New(f, "events").Publish(cancelled, anEvent("1", "p", 0)), context.Canceled)
	})
}

func TestAnAttemptHasALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := apiFunc(func(ctx context.Context) (*kinesis.PutRecordsOutput, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		err := New(slow, "events", WithAttemptTimeout(time.Second), WithMaxAttempts(2)).Publish(t.Context(), anEvent("1", "p", 0))
		require.ErrorContains(t, err, "no answer within 1s")
	})
}

type apiFunc func(ctx context.Context) (*kinesis.PutRecordsOutput, error)

func (f apiFunc) PutRecords(ctx context.Context, _ *kinesis.PutRecordsInput, _ ...func(*kinesis.Options)) (*kinesis.PutRecordsOutput, error) {
	return f(ctx)
}

func TestPromise14AnAnswerThatCannotBeRightIsNotBelieved(t *testing.T) {
	for name, answer := range map[string]func(*kinesis.PutRecordsOutput) *kinesis.PutRecordsOutput{
		"none":      func(*kinesis.PutRecordsOutput) *kinesis.PutRecordsOutput { return nil },
		"too short": func(o *kinesis.PutRecordsOutput) *kinesis.PutRecordsOutput { o.Records = o.Records[1:]; return o },
		"too long": func(o *kinesis.PutRecordsOutput) *kinesis.PutRecordsOutput {
			o.Records = append(o.Records, o.Records...)
			return o
		},
		"without sequence number": func(o *kinesis.PutRecordsOutput) *kinesis.PutRecordsOutput {
			o.Records[1].SequenceNumber = nil
			return o
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{answer: answer}
				err := New(f, "events", WithMaxAttempts(2)).Publish(t.Context(), anEvent("1", "p", 0), anEvent("2", "q", 0))
				require.Contains(t, failed(t, err), 1)
				require.Greater(t, len(f.requests), 1)
			})
		})
	}
}

func TestErrorsOfTheCall(t *testing.T) {
	for code, again := range map[string]bool{
		throttled: true, "InternalFailure": true, "KMSThrottlingException": true, "LimitExceededException": true, "RequestTimeout": true,
		"ResourceNotFoundException": false, "AccessDeniedException": false, "ValidationException": false, "InvalidArgumentException": false,
	} {
		t.Run(code, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{refuse: func(request int, _ []types.PutRecordsRequestEntry) (map[int]string, error) {
					if request == 1 {
						return nil, &smithy.GenericAPIError{Code: code, Message: "secret"}
					}
					return nil, nil
				}}
				err := New(f, "events").Publish(t.Context(), anEvent("1", "p", 0), anEvent("2", "p", 0))
				if again {
					require.NoError(t, err)
					return
				}
				require.Equal(t, []int{0, 1}, failed(t, err))
				require.False(t, mes.IsPermanent(err), "it is not the events' fault")
				require.NotContains(t, err.Error(), "secret")
				require.Len(t, f.requests, 1)
			})
		})
	}
	panics := apiFunc(func(context.Context) (*kinesis.PutRecordsOutput, error) { panic("secret") })
	err := New(panics, "events").Publish(t.Context(), anEvent("1", "p", 0))
	require.ErrorContains(t, err, "panicked")
	require.NotContains(t, err.Error(), "secret")
}

func TestErrorTextsNameWhatIsKnown(t *testing.T) {
	for want, client := range map[string]API{
		// Of a whole request.
		"Kinesis says SomethingNewException": &fake{refuse: func(int, []types.PutRecordsRequestEntry) (map[int]string, error) {
			return nil, &smithy.GenericAPIError{Code: "Something\nNew Exception", Message: "secret"}
		}},
		"Kinesis has refused the request, and does not say why": &fake{refuse: func(int, []types.PutRecordsRequestEntry) (map[int]string, error) {
			return nil, &smithy.GenericAPIError{Message: "secret"}
		}},
		"the client returned a *errors.errorString": apiFunc(func(context.Context) (*kinesis.PutRecordsOutput, error) {
			return nil, errors.New("secret")
		}),
		"the client returned a *fs.PathError": apiFunc(func(context.Context) (*kinesis.PutRecordsOutput, error) {
			return nil, &smithy.OperationError{ServiceID: "Kinesis", OperationName: "PutRecords", Err: &fs.PathError{Op: "open", Path: "secret", Err: fs.ErrNotExist}}
		}),
		// Of a record.
		"Kinesis has refused records: SomethingNewException": &fake{refuse: func(int, []types.PutRecordsRequestEntry) (map[int]string, error) {
			return map[int]string{0: "SomethingNewException"}, nil
		}},
		"the answer does not say where a record was stored": &fake{refuse: func(int, []types.PutRecordsRequestEntry) (map[int]string, error) {
			return map[int]string{0: ""}, nil
		}},
	} {
		err := New(client, "events", WithMaxAttempts(1)).Publish(t.Context(), anEvent("1", "p", 0))
		var e *Error
		require.ErrorAs(t, err, &e)
		require.EqualError(t, e, "kinesispublisher: PutRecords failed: "+want)
		require.NotContains(t, err.Error(), "secret")
		require.NotContains(t, err.Error(), "<nil>")
	}
	require.Len(t, printable(strings.Repeat("x", 200)), 100)
}

// overHTTP is the SDK's own client, of a server behind a real connection.
func overHTTP(t *testing.T, handler http.HandlerFunc) *kinesis.Client {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return kinesis.New(kinesis.Options{
		BaseEndpoint: &server.URL, Region: "us-east-1", HTTPClient: called.Client(&http.Client{Transport: transport}),
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
}

// TestOverHTTP uses the SDK's own client, against a server that breaks off.
func TestOverHTTP(t *testing.T) {
	var requests atomic.Int32
	client := overHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch requests.Add(1) {
		case 1:
			http.Error(w, `{"__type":"InternalFailure"}`, http.StatusInternalServerError)
		case 2:
			panic(http.ErrAbortHandler)
		case 3:
			_, _ = io.WriteString(w, "no answer to anything")
		default:
			w.Header().Set("Content-Type", "application/x-amz-json-1.1")
			w.Header().Set("X-Amzn-Errortype", "AccessDeniedException")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"__type":"AccessDeniedException","message":"secret"}`)
		}
	})
	p := New(client, "arn:aws:kinesis:us-east-1:000000000000:stream/events")
	p.waits.First, p.waits.Most = time.Nanosecond, time.Nanosecond
	err := p.Publish(t.Context(), anEvent("1", "p", 0))
	require.ErrorContains(t, err, "may not call kinesis:PutRecords")
	require.EqualValues(t, 4, requests.Load(), "each attempt is one request")
	require.NoError(t, checkCalled(false), "promise 19")
}

// It would be the same the next time, and it is not the event's fault.
func TestPromise13ARedirectionIsNotTriedAgain(t *testing.T) {
	for _, body := range []string{"", "<html>secret</html>", `{"__type":"InternalFailure","message":"secret"}`} {
		var requests atomic.Int32
		client := overHTTP(t, func(w http.ResponseWriter, _ *http.Request) {
			requests.Add(1)
			w.WriteHeader(http.StatusTemporaryRedirect)
			_, _ = io.WriteString(w, body)
		})
		err := New(client, "events").Publish(t.Context(), anEvent("1", "p", 0))
		require.ErrorContains(t, err, "HTTP status 307: the endpoint sends us elsewhere")
		require.NotContains(t, err.Error(), "secret")
		require.False(t, mes.IsPermanent(err))
		require.EqualValues(t, 1, requests.Load())
	}
}

func TestNewSaysWhatIsWrong(t *testing.T) {
	for text, p := range map[string]*Publisher{
		"the client is nil":      New((*kinesis.Client)(nil), "events"),
		"the stream has no name": New(new(fake), ""),
		"option 0 is nil":        New(new(fake), "events", nil),
		"WithMaxRecordSize":      New(new(fake), "events", WithMaxRecordSize(MaxRecordSize+1)),
		"WithAttemptTimeout":     New(new(fake), "events", WithAttemptTimeout(0)),
		"WithMaxAttempts":        New(new(fake), "events", WithMaxAttempts(0)),
	} {
		require.ErrorContains(t, p.Publish(t.Context()), text)
	}
}

// TestInOrderForEachPartitionKey refuses what it likes.
func TestInOrderForEachPartitionKey(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		strict := rapid.Bool().Draw(rt, "strict")
		n := rapid.IntRange(0, 30).Draw(rt, "events")
		events := make([]mes.Event, n)
		for i := range events {
			events[i] = anEvent(fmt.Sprintf("%02d", i), rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "key"), 0)
		}
		left := rapid.IntRange(0, 40).Draw(rt, "refusals")
		f := &fake{refuse: func(_ int, records []types.PutRecordsRequestEntry) (map[int]string, error) {
			if left > 0 && rapid.IntRange(0, 9).Draw(rt, "request fails") == 0 {
				left--
				return nil, &smithy.GenericAPIError{Code: "InternalFailure"}
			}
			refused := make(map[int]string)
			for i := range records {
				if left > 0 && rapid.Bool().Draw(rt, "refuse") {
					left--
					refused[i] = throttled
				}
			}
			return refused, nil
		}}
		options := []Option{WithMaxAttempts(1000)}
		if strict {
			options = append(options, WithStrictOrder())
		}
		p := New(f, "events", options...)
		p.waits.First, p.waits.Most = time.Nanosecond, time.Nanosecond
		require.NoError(rt, p.Publish(t.Context(), events...))
		require.Len(rt, f.stored, n)
		if strict {
			sent := make(map[string][]string)
			for _, record := range f.stored {
				sent[*record.PartitionKey] = append(sent[*record.PartitionKey], string(record.Data))
			}
			for _, texts := range sent {
				require.IsIncreasing(rt, append([]string{""}, texts...))
			}
		}
		// In any mode: what has been refused once is overtaken by nothing that
		// goes out in a later request.
		for r, request := range f.requests {
			inRequest := make(map[string]string)
			for _, record := range request {
				key := *record.PartitionKey
				if previous, ok := inRequest[key]; ok {
					require.Less(rt, previous, string(record.Data))
				}
				inRequest[key] = string(record.Data)
			}
			for _, later := range f.requests[r+1:] {
				for _, record := range later {
					for _, earlier := range request {
						if *earlier.PartitionKey == *record.PartitionKey && string(record.Data) < string(earlier.Data) {
							require.True(rt, slices.Contains(texts(request), string(record.Data)), "it was held back while a later one of its key went out")
						}
					}
				}
			}
		}
	})
}
