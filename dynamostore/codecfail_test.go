package dynamostore

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/driver"
)

// Whatever goes wrong on the way, the two codecs make the same of it.
func TestPromise14BothCodecsFailAlike(t *testing.T) {
	page := func() *http.Response { return pageOf("", "a", "b") }
	for name, first := range map[string]func() (*http.Response, error){
		"throttled":        func() (*http.Response, error) { return refusal("ProvisionedThroughputExceededException", "slow"), nil },
		"no access":        func() (*http.Response, error) { return refusal("AccessDeniedException", "no"), nil },
		"invalid":          func() (*http.Response, error) { return refusal("ValidationException", "One thing"), nil },
		"server's failure": func() (*http.Response, error) { return answer(500, ""), nil },
		"no answer":        func() (*http.Response, error) { return nil, io.ErrUnexpectedEOF },
		"empty":            func() (*http.Response, error) { return answer(200, ""), nil },
		"not JSON":         func() (*http.Response, error) { return answer(200, "<html>"), nil },
		"not an answer":    func() (*http.Response, error) { return answer(200, "{}"), nil },
		"cut":              func() (*http.Response, error) { return cut(page()), nil },
		"altered":          func() (*http.Response, error) { return altered(page()), nil },
		"fewer items": func() (*http.Response, error) {
			return answer(200, `{"ConsumedCapacity":{},"Count":1,"Items":[]}`), nil
		},
		"no keys":           func() (*http.Response, error) { return answer(200, string(answerOf(`{"event":{"S":"{}"}}`))), nil },
		"a newer encoding":  func() (*http.Response, error) { return answer(200, string(answerOf(itemOf(`{"B":"AAEC"}`)))), nil },
		"an unknown shape":  func() (*http.Response, error) { return answer(200, string(answerOf(itemOf(`{"Z":"1"}`)))), nil },
		"packed on the way": func() (*http.Response, error) { return gzipped(page()), nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				type outcome struct {
					calls int
					page  driver.Page
					text  string
					code  string
					kept  bool
				}
				run := func(codec Codec, put bool) (o outcome) {
					s := &stub{}
					s.answer = func(c call) (*http.Response, error) {
						if c.n == 0 {
							return first()
						}
						if c.operation == "Query" {
							return page(), nil
						}
						return success(c)
					}
					table := s.table(WithCodec(codec), WithMaxAttempts(3))
					var err error
					if put {
						err = table.Put(t.Context(), items(2))
					} else {
						o.page, err = table.Query(t.Context(), driver.Query{HashKey: "h"})
						o.page.Room = nil
					}
					o.calls = s.count()
					if err != nil {
						o.text = err.Error()
						leaksNothing(t, err)
					}
					var failed *Error
					if errors.As(err, &failed) {
						o.code = failed.Code
					}
					o.kept = errors.Is(err, ErrUnknownEncoding)
					return o
				}
				for _, put := range []bool{false, true} {
					require.Equal(t, run(CodecSDK, put), run(CodecOwn, put), "put: %v", put)
				}
			})
		})
	}
}

func gzipped(r *http.Response) *http.Response {
	body, _ := io.ReadAll(r.Body)
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write(body)
	_ = w.Close()
	r = answer(200, packed.String())
	r.Header.Set("Content-Encoding", "gzip")
	return r
}

// An answer that says that it holds very many items is no reason to make room for
// them.
func TestPromise16ANumberOfItemsIsNotBelieved(t *testing.T) {
	table := new(stub).table()
	body := []byte(`{"ConsumedCapacity":{},"Count":999999999,"Items":[` + itemOf(`{"S":"{}"}`) + `]}`)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	ok := table.layout.readAnswerPage(body, "h", new(pageRoom), new(dynamodb.QueryOutput))
	runtime.ReadMemStats(&after)
	require.False(t, ok)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
}
