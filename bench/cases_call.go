package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"

	mes "github.com/microeventstore/microeventstore"
)

// empty is a call that has next to nothing to say.
func (b *bencher) empty() (benchCase, error) {
	const name = "empty"
	store, _, err := b.store(b.client, name)
	if err != nil {
		return benchCase{}, err
	}
	return benchCase{
		events: 1, against: []string{"the SDK"},
		limit: "net/http", limiting: b.callOnly("Query", queryOf(name)),
		sides: []side{
			func(runs int) error {
				for range runs {
					if m, err := store.GetMicroEventStore(b.ctx, "key"); err != nil || len(m.Events) > 0 {
						return errors.Join(err, errors.New("another history"))
					}
				}
				return nil
			},
			func(runs int) error {
				for range runs {
					if list, err := plainRead(b.ctx, b.client, nil, name, "S", "key"); err != nil || len(list) > 0 {
						return errors.Join(err, errors.New("another history"))
					}
				}
				return nil
			},
		},
	}, nil
}

// callOnly sends a request as the SDK does and looks at each byte of the answer once,
// page by page, with net/http alone: no signature, no retries, no JSON.
func (b *bencher) callOnly(operation string, body []byte) side {
	return func(runs int) error {
		var room bytes.Buffer
		for range runs {
			for page := body; page != nil; {
				response, err := b.post(operation, page)
				if err != nil {
					return err
				}
				room.Reset()
				room.Grow(int(response.ContentLength) + bytes.MinRead)
				_, err = room.ReadFrom(response.Body)
				_ = response.Body.Close()
				if err != nil {
					return err
				}
				if response.StatusCode != http.StatusOK || quotesIn(room.Bytes()) == 0 {
					return errors.New("the stub does not answer")
				}
				page = nextPage(body, room.Bytes())
			}
		}
		return nil
	}
}

// nextPage is the request for the page behind one, nil if that is the last.
func nextPage(body, answer []byte) []byte {
	end := answer[max(0, len(answer)-1024):] // the stub's keys are short
	_, key, more := bytes.Cut(end, []byte(`"LastEvaluatedKey":`))
	if !more {
		return nil
	}
	key, _, _ = bytes.Cut(key, []byte(`,"ScannedCount"`))
	return fmt.Appendf(nil, `{"ExclusiveStartKey":%s,%s`, key, body[1:])
}

// queryOf is the request for all events of a table's one key.
func queryOf(table string) []byte {
	return fmt.Appendf(nil, `{"ConsistentRead":true,"ExpressionAttributeNames":{"#h":"partitionKey"},"ExpressionAttributeValues":{":h":{"S":"key"}},"KeyConditionExpression":"#h = :h","ReturnConsumedCapacity":"TOTAL","TableName":%q}`, table)
}

// batchOf is the request that puts items.
func batchOf(table string, list []mes.Event, image layout) []byte {
	var body bytes.Buffer
	fmt.Fprintf(&body, `{"RequestItems":{%q:[`, table)
	for i := range list {
		if i > 0 {
			body.WriteByte(',')
		}
		_, whole := image(&list[i])
		body.WriteString(`{"PutRequest":{"Item":{` + whole + `}}}`)
	}
	body.WriteString(`]}}`)
	return body.Bytes()
}

// post sends a request to the stub with net/http alone.
func (b *bencher) post(operation string, body []byte) (*http.Response, error) {
	request, err := http.NewRequestWithContext(b.ctx, http.MethodPost, b.plain, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("X-Amz-Target", "DynamoDB_20120810."+operation)
	return http.DefaultClient.Do(request)
}
