package dynamostore

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	smithy "github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
)

// transient are the ways in which a request can fail and the next one succeed.
var transient = map[string]func(c call) (*http.Response, error){
	"throttled": func(call) (*http.Response, error) {
		return refusal("ProvisionedThroughputExceededException", "secret"), nil
	},
	"throttled by the account": func(call) (*http.Response, error) { return refusal("RequestLimitExceeded", "secret"), nil },
	"server error": func(call) (*http.Response, error) {
		return answer(500, `{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError","message":"secret"}`), nil
	},
	"bad gateway":        func(call) (*http.Response, error) { return answer(502, "<html>secret</html>"), nil },
	"empty server error": func(call) (*http.Response, error) { return answer(503, ""), nil },
	"empty refusal":      func(call) (*http.Response, error) { return answer(400, ""), nil },
	"reset":              func(call) (*http.Response, error) { return nil, &net.OpError{Op: "read", Err: syscall.ECONNRESET} },
	"closed":             func(call) (*http.Response, error) { return nil, io.EOF },
	"reset once applied": func(c call) (*http.Response, error) { r, err := success(c); return cut(r), err },
	"altered":            func(c call) (*http.Response, error) { r, err := success(c); return altered(r), err },
	"altered refusal":    func(call) (*http.Response, error) { return altered(refusal("ValidationException", "1")), nil },
	"empty":              func(call) (*http.Response, error) { return answer(200, ""), nil },
	"empty object":       func(call) (*http.Response, error) { return answer(200, "{}"), nil },
	"not JSON":           func(call) (*http.Response, error) { return answer(200, `{"secret`), nil },
	"short":              func(c call) (*http.Response, error) { r, err := success(c); r.ContentLength++; return r, err },
	"hangs":              func(c call) (*http.Response, error) { <-c.ctx.Done(); return nil, c.ctx.Err() },
	"JSON of another API": func(call) (*http.Response, error) {
		return answer(200, `{"Items":"secret","UnprocessedItems":7,"ConsumedCapacity":[]}`), nil
	},
	"without a checksum, cut": func(c call) (*http.Response, error) {
		r, err := success(c)
		body, _ := io.ReadAll(r.Body)
		r.Header, r.ContentLength = http.Header{}, -1
		r.Body = io.NopCloser(strings.NewReader(string(body[:len(body)/2])))
		return r, err
	},
	"body hangs": func(c call) (*http.Response, error) {
		r, err := success(c)
		r.Body = io.NopCloser(hanging{c.ctx})
		return r, err
	},
}

type hanging struct{ ctx context.Context }

func (h hanging) Read([]byte) (int, error) { <-h.ctx.Done(); return 0, h.ctx.Err() }

var operations = map[string]func(ctx context.Context, t *Table) error{
	"Put": func(ctx context.Context, t *Table) error { return t.Put(ctx, items(3)) },
	"Query": func(ctx context.Context, t *Table) error {
		_, err := t.Query(ctx, driver.Query{HashKey: "secret-hash", Consistent: true})
		return err
	},
	"PutIfAbsent": func(ctx context.Context, t *Table) error { return t.PutIfAbsent(ctx, items(1)) },
	"Delete":      func(ctx context.Context, t *Table) error { _, err := t.Delete(ctx, "secret-hash"); return err },
}

// leaksNothing holds promise 20 against an error's text.
func leaksNothing(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		require.NotContains(t, err.Error(), "secret")
		require.NotContains(t, err.Error(), "SECRET")
	}
}

func TestPromise14EveryTransientFaultIsRetried(t *testing.T) {
	for fault, fail := range transient {
		for name, operation := range operations {
			t.Run(fault+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := &stub{}
					s.answer = func(c call) (*http.Response, error) {
						if c.n < 3 {
							return fail(c)
						}
						return success(c)
					}
					require.NoError(t, operation(t.Context(), s.table()))
					require.Equal(t, 4, s.count(), "one owner of retries")
				})
			})
		}
	}
}

func TestPromise13AttemptsAreCappedWithoutDeadline(t *testing.T) {
	for fault, fail := range transient {
		for name, operation := range operations {
			t.Run(fault+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := &stub{answer: fail}
					err := operation(t.Context(), s.table(WithMaxAttempts(4)))
					require.Error(t, err)
					require.Equal(t, 4, s.count())
					var e *Error
					require.ErrorAs(t, err, &e)
					require.Equal(t, 4, e.Attempts)
					require.NotErrorIs(t, err, driver.ErrInvalidItem)
					require.NotErrorIs(t, err, driver.ErrConflict)
					leaksNothing(t, err)
				})
			})
		}
	}
}

func TestPromise13WaitsGrowUpToACapWithFullJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Time
		s := &stub{answer: func(c call) (*http.Response, error) {
			at = append(at, time.Now())
			return answer(500, ""), nil
		}}
		require.Error(t, s.table(WithMaxAttempts(60)).Put(t.Context(), items(1)))
		require.Len(t, at, 60)
		most, beyond, low := firstWait, 0, 0
		for i := 1; i < len(at); i++ {
			wait := at[i].Sub(at[i-1])
			require.LessOrEqual(t, wait, most)
			if i > 10 && wait > mostWait/2 {
				beyond++
			} else if i > 10 {
				low++
			}
			most = min(2*most, mostWait)
		}
		require.Positive(t, beyond)
		require.Positive(t, low)
	})
}

// A table that takes one item of each request takes them all in the end: the cap
// is for attempts that come to nothing.
func TestPromise02AttemptsThatStoreSomethingDoNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stored []string
		s := &stub{answer: func(c call) (*http.Response, error) {
			keys, requests := keysOf(t, c.body)
			stored = append(stored, keys[0])
			var left []json.RawMessage
			for _, key := range keys[1:] {
				left = append(left, requests[key])
			}
			return unprocessed(left...), nil
		}}
		require.NoError(t, s.table(WithMaxAttempts(3)).Put(t.Context(), items(25)))
		require.Len(t, stored, 25)
		require.Equal(t, 25, s.count())
	})
}

func TestPromise12ReturnsBeforeTheDeadline(t *testing.T) {
	for fault, fail := range transient {
		for name, operation := range operations {
			t.Run(fault+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := &stub{answer: fail}
					ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
					defer cancel()
					err := operation(ctx, s.table(WithMaxAttempts(1)))
					require.ErrorIs(t, err, context.DeadlineExceeded)
					require.NoError(t, ctx.Err(), "it has returned before")
					require.Greater(t, s.count(), 3, "not the cap but the deadline decides")
					leaksNothing(t, err)
				})
			})
		}
	}
}

// Who is called with little time needs a part of it to act on the answer.
func TestPromise12ATenthOfTheTimeIsLeftToTheCaller(t *testing.T) {
	for given, left := range map[time.Duration]time.Duration{
		time.Second:      100 * time.Millisecond,
		2 * time.Second:  200 * time.Millisecond,
		20 * time.Second: maxMargin,
	} {
		for name, operation := range operations {
			synctest.Test(t, func(t *testing.T) {
				s := &stub{answer: transient["hangs"]}
				ctx, cancel := context.WithTimeout(t.Context(), given)
				defer cancel()
				began := time.Now()
				require.ErrorIs(t, operation(ctx, s.table(WithAttemptTimeout(time.Hour))), context.DeadlineExceeded, name)
				require.Equal(t, given-left, time.Since(began), name)
			})
		}
	}
}

func TestCancelEndsACallAtOnce(t *testing.T) {
	for name, operation := range operations {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &stub{answer: transient["hangs"]}
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Second, cancel)
				began := time.Now()
				err := operation(ctx, s.table())
				require.ErrorIs(t, err, context.Canceled)
				require.Equal(t, time.Second, time.Since(began))

				require.ErrorIs(t, operation(ctx, s.table()), context.Canceled)
				require.Equal(t, 1, s.count(), "nothing is sent once the context has ended")
			})
		})
	}
}

func TestAttemptTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stub{answer: transient["hangs"]}
		began := time.Now()
		err := s.table(WithMaxAttempts(1), WithAttemptTimeout(2*time.Second)).Put(t.Context(), items(1))
		require.ErrorContains(t, err, "no answer within 2s")
		require.Equal(t, 2*time.Second, time.Since(began))
	})
}

func TestOtherErrorsAreReturnedAtOnce(t *testing.T) {
	for _, code := range []string{
		"AccessDeniedException", "ResourceNotFoundException", "ValidationException", "UnrecognizedClientException",
		"ExpiredTokenException", "SerializationException", "ItemCollectionSizeLimitExceededException", "SomethingNew",
	} {
		for name, operation := range operations {
			t.Run(code+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					message := "the secret does not match the schema"
					if plainMessage("Query", code) {
						message = "on table events"
					}
					s := &stub{answer: func(call) (*http.Response, error) { return refusal(code, message), nil }}
					err := operation(t.Context(), s.table())
					require.Equal(t, 1, s.count())
					require.NotErrorIs(t, err, driver.ErrInvalidItem)
					var api smithy.APIError
					require.ErrorAs(t, err, &api)
					require.Equal(t, code, api.ErrorCode())
					require.ErrorContains(t, err, code)
					leaksNothing(t, err)
				})
			})
		}
	}
}

func TestAWrongClockIsGivenOneMoreTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stub{answer: func(call) (*http.Response, error) { return refusal("InvalidSignatureException", "SECRET"), nil }}
		err := s.table().Put(t.Context(), items(1))
		require.Equal(t, 2, s.count())
		leaksNothing(t, err)
	})
}

func TestAPanicOfTheClientIsAnError(t *testing.T) {
	s := &stub{answer: func(call) (*http.Response, error) { panic("secret") }}
	for name, operation := range operations {
		err := operation(t.Context(), s.table())
		require.ErrorContains(t, err, "panic", name)
		leaksNothing(t, err)
	}
	err := s.table().Put(t.Context(), items(100))
	require.ErrorContains(t, err, "panic")
}

func TestAnErrorBeforeSendingIsExplained(t *testing.T) {
	s := &stub{answer: success}
	require.NoError(t, s.table().Put(t.Context(), items(1)))

	opts := s.client().Options()
	opts.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{}, errors.New("no credentials here")
	})
	err := New(dynamodb.New(opts), "events").Put(t.Context(), items(1))
	require.ErrorContains(t, err, "no credentials here")
	require.ErrorContains(t, err, "could not be sent")
	require.Equal(t, 1, s.count())
}

func TestClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stub{answer: func(c call) (*http.Response, error) { time.Sleep(time.Second); return success(c) }}
		table := s.table()
		done := make(chan error, 1)
		go func() { done <- table.Put(t.Context(), items(60)) }()
		synctest.Wait()
		require.NoError(t, table.Close())
		require.NoError(t, <-done, "Close waits")
		for name, operation := range operations {
			require.ErrorIs(t, operation(t.Context(), table), driver.ErrClosed, name)
		}
		require.NoError(t, table.Close())
		wrong := New(nil, "")
		require.NoError(t, wrong.Close())
		require.ErrorIs(t, wrong.Put(t.Context(), nil), driver.ErrClosed)
	})
}

func TestWrongOptionsAreReturnedByEveryMethod(t *testing.T) {
	wrong := map[string]*Table{
		"nil client":       New(nil, "events"),
		"no table":         New((&stub{}).client(), ""),
		"nil option":       (&stub{}).table(nil),
		"parallelism":      (&stub{}).table(WithParallelism(0)),
		"timeout":          (&stub{}).table(WithAttemptTimeout(0)),
		"attempts":         (&stub{}).table(WithMaxAttempts(0)),
		"threshold":        (&stub{}).table(WithCompression(0)),
		"map, compressed":  (&stub{}).table(WithCompression(1), AsMap()),
		"view":             (&stub{}).table(WithStreamView("x")),
		"same name twice":  (&stub{}).table(WithAttributeNames(AttributeNames{Event: "ttl"})),
		"name is not text": (&stub{}).table(WithAttributeNames(AttributeNames{Event: "\xff"})),
		"not made":         {},
	}
	for name, table := range wrong {
		for _, operation := range operations {
			require.Error(t, operation(t.Context(), table), name)
		}
		require.NoError(t, table.Close())
	}
	err := (&stub{}).table(WithParallelism(0), WithMaxAttempts(0)).Put(t.Context(), nil)
	require.ErrorContains(t, err, "WithParallelism")
	require.ErrorContains(t, err, "WithMaxAttempts")
}

func TestTheErrorOfAnEndedContextIsNotPermanent(t *testing.T) {
	cause := errors.New("secret")
	err := error(newContextError("Put", context.Canceled, cause))
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, cause)
	require.False(t, mes.IsPermanent(err))
	leaksNothing(t, err)
}

// A line is slow when a request takes time by its size.
func slowLine(bytesPerSecond int, then func(c call) (*http.Response, error)) func(c call) (*http.Response, error) {
	return func(c call) (*http.Response, error) {
		timer := time.NewTimer(time.Duration(len(c.body)) * time.Second / time.Duration(bytesPerSecond))
		defer timer.Stop()
		select {
		case <-timer.C:
			return then(c)
		case <-c.ctx.Done():
			return nil, c.ctx.Err()
		}
	}
}

func TestABatchThatIsTooLargeForASlowLineIsSentInParts(t *testing.T) {
	large := items(30)
	for i := range large {
		large[i].Event = []byte(`{"secret":"` + strings.Repeat("x", 100_000) + `"}`)
	}
	for name, codec := range map[string]Codec{"own": CodecOwn, "SDK": CodecSDK} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				stored := map[string]int{}
				s := &stub{answer: slowLine(170_000, func(c call) (*http.Response, error) { //nolint:bodyclose // it is in memory; 25 items take 15 s
					keys, requests := keysOf(t, c.body)
					mu.Lock()
					defer mu.Unlock()
					if len(keys) > 1 && stored[keys[0]] == 0 {
						// A part of a part may stay unprocessed as well.
						for _, key := range keys[1:] {
							stored[key]++
						}
						return unprocessed(requests[keys[0]]), nil
					}
					for _, key := range keys {
						stored[key]++
					}
					return success(c)
				})}
				require.NoError(t, s.table(WithCodec(codec)).Put(t.Context(), large))
				require.Len(t, stored, len(large))
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		s := &stub{answer: slowLine(15_000, success)} //nolint:bodyclose // it is in memory
		err := s.table(WithMaxAttempts(6)).Put(t.Context(), large[:25])
		require.ErrorContains(t, err, "WithAttemptTimeout", "the least that can be sent is too much")
		require.Equal(t, 6, s.count())
		var failed *driver.PutError
		require.ErrorAs(t, err, &failed)
		require.Len(t, failed.Failures, 25)

		require.NoError(t, s.table(WithAttemptTimeout(time.Hour)).Put(t.Context(), large[:25]))
		require.Equal(t, 7, s.count())
	})
}

func TestCredentialsThatHangAreNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stub{answer: success}
		opts := s.client().Options()
		opts.Credentials = aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
			<-ctx.Done()
			return aws.Credentials{}, ctx.Err()
		})
		err := New(dynamodb.New(opts), "events", WithMaxAttempts(2)).Put(t.Context(), items(1))
		require.ErrorContains(t, err, "credentials")
		require.NotContains(t, err.Error(), "no answer")
		require.Zero(t, s.count())
	})
}
