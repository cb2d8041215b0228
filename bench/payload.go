package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/microeventstore/microeventstore/dynamostore"

	mes "github.com/microeventstore/microeventstore"
)

// families are the kinds of payload: made up, of about 1 and 10 KB, and real
// webhooks of GitHub's.
var families = []string{"1KB", "10KB", "github"}

// madeItems is how many items an event has that is made up.
var madeItems = map[string]int{"1KB": 4, "10KB": 80}

// began is the time of the first event that is made up. Whatever the tests say of
// expiry, nothing here expires.
const began = 1_700_000_000_000

// eventsOf returns n events of a family, all under one hash key.
func eventsOf(family string, n int) ([]mes.Event, error) {
	var raws [][]byte
	if family == "github" {
		sample, err := os.ReadFile("examples/quickstart/events.ndjson")
		if err != nil {
			return nil, fmt.Errorf("run it in the module's directory: %w", err)
		}
		var lines [][]byte
		for line := range bytes.Lines(sample) {
			lines = append(lines, bytes.TrimSpace(line))
		}
		for i := range n {
			// The same event again is another one.
			line := lines[i%len(lines)]
			var id struct {
				ID           string
				PartitionKey string
				Timestamp    json.Number
			}
			if err := json.Unmarshal(line, &id); err != nil {
				return nil, err
			}
			line = bytes.Replace(line, []byte(`"id":"`+id.ID), []byte(`"id":"`+idOf(i)), 1)
			line = bytes.Replace(line, []byte(id.Timestamp.String()), fmt.Append(nil, began+i), 1)
			raws = append(raws, bytes.Replace(line, []byte(`"partitionKey":"`+id.PartitionKey), []byte(`"partitionKey":"key`), 1))
		}
	} else {
		for i := range n {
			raws = append(raws, made(i, madeItems[family]))
		}
	}
	events := make([]mes.Event, n)
	for i, raw := range raws {
		e, err := mes.Parse(raw)
		if err != nil {
			return nil, err
		}
		events[i] = e
	}
	return events, nil
}

// eventsUnder are events of 1 KB under a hash key.
func eventsUnder(key string, n int) ([]mes.Event, error) {
	list := make([]mes.Event, n)
	for i := range list {
		raw := bytes.Replace(made(i, 4), []byte(`"partitionKey":"key"`), []byte(`"partitionKey":"`+key+`"`), 1)
		raw = bytes.Replace(raw, []byte(idOf(i)), []byte(idOf(i)+"-"+key), 1)
		e, err := mes.Parse(raw)
		if err != nil {
			return nil, err
		}
		list[i] = e
	}
	return list, nil
}

func idOf(i int) string { return fmt.Sprintf("5a2e9c4e-7725-41e9-8d65-%012d", i) }

// made is an event as a producer writes it, of 1 KB with 4 items.
func made(i, items int) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `{"id":%q,"type":"order-%s","timestamp":%d,"partitionKey":"key","tags":{"account":"123456789012","region":"eu-west-1","stage":"production","source":"order-service","functionname":"order-service-listener"},"order":{"id":"order-%d","customer":{"id":"customer-%d","name":"Jos\u00e9 da Silva","email":"jose.%d@example.com","address":{"street":"12 \"High\" Street","city":"Lisbon","country":"PT"}},"currency":"EUR","total":%d.%02d,"paid":%v,"note":null,"items":[`,
		idOf(i), [...]string{"submitted", "paid", "packed", "shipped"}[i%4], began+i, i, i%100, i, 10+i%90, i%100, i%2 == 0)
	for j := range items {
		if j > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"sku":"SKU-%06d","name":"Thing number %d, blue","quantity":%d,"price":%d.%02d,"tags":["a","b"]}`, i*7+j, j, 1+j%5, 3+j, i%100)
	}
	b.WriteString(`]}}`)
	return []byte(b.String())
}

// optionsOf are those for events that are stored as S, M or B.
func optionsOf(form string) []dynamostore.Option {
	switch form {
	case "M":
		return []dynamostore.Option{dynamostore.AsMap()}
	case "B":
		return []dynamostore.Option{dynamostore.WithCompression(1)}
	}
	return nil
}

func rangeKeyOf(e *mes.Event) string {
	return fmt.Sprintf("%016d#%s", e.Timestamp.UnixMilli(), e.ID)
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
