package main

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/klauspost/compress/dict"
	"github.com/klauspost/compress/zstd"

	"github.com/microeventstore/microeventstore/dynamostore"

	mes "github.com/microeventstore/microeventstore"
)

// dictionarySize is what is asked of a trained dictionary, in bytes.
const dictionarySize = 16 << 10

// runCapacity prints what saving and reading an event consumes, by DynamoDB's
// rules: a write unit for each KiB of an item begun, a read unit for each 4 KiB of
// an answer begun if it is consistent. Sources: "DynamoDB item sizes and formats"
// and "DynamoDB read and write operations", Amazon DynamoDB Developer Guide.
func (b *bencher) runCapacity() error {
	fmt.Printf("%-8s %-32s %12s %12s %14s\n", "events", "layout", "item, bytes", "write units", "read units*")
	for _, family := range families {
		list, err := eventsOf(family, 60)
		if err != nil {
			return err
		}
		samples, err := samplesOf(family)
		if err != nil {
			return err
		}
		dictionary, err := dict.BuildZstdDict(samples, dict.Options{MaxDictSize: dictionarySize, HashBytes: 8, ZstdDictID: 1, ZstdLevel: zstd.SpeedDefault})
		if err != nil {
			return err
		}
		for _, layout := range []struct {
			name string
			opts []dynamostore.Option
		}{
			{"the recipe's: a map", []dynamostore.Option{dynamostore.AsMap()}},
			{"text", nil},
			{"zstd", []dynamostore.Option{dynamostore.WithCompression(1)}},
			{fmt.Sprintf("zstd, dictionary of %d bytes", len(dictionary)), []dynamostore.Option{dynamostore.WithCompression(1), dynamostore.WithDictionaries(dictionary)}},
		} {
			sizes, err := b.sizesOf(list, layout.opts)
			if err != nil {
				return err
			}
			bytes, units := 0, 0
			for _, size := range sizes {
				bytes += size
				units += (size + 1023) / 1024
			}
			n := float64(len(sizes))
			fmt.Printf("%-8s %-32s %12.0f %12.2f %14.3f\n", family, layout.name, float64(bytes)/n, float64(units)/n, float64(bytes)/n/4096)
		}
	}
	fmt.Println("* for each event of a long history, read consistently; half of that otherwise")
	return b.runGrowth()
}

// samplesOf are events to train a dictionary with: none of those of eventsOf.
func samplesOf(family string) (samples [][]byte, err error) {
	if family != "github" {
		for i := range 200 {
			samples = append(samples, made(1000+i, madeItems[family]))
		}
		return samples, nil
	}
	measured, err := os.ReadFile("examples/quickstart/events.ndjson")
	if err != nil {
		return nil, err
	}
	file, err := os.Open("testdata/github-webhooks.ndjson.gz")
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		return nil, err
	}
	all, err := io.ReadAll(unpacked)
	if err != nil {
		return nil, err
	}
	for line := range bytes.Lines(all) {
		e, err := mes.Parse(bytes.TrimSpace(line))
		if err == nil && !bytes.Contains(measured, []byte(e.ID)) {
			samples = append(samples, e.Raw)
		}
	}
	return samples, nil
}

// sizesOf saves events and measures the items that are sent.
func (b *bencher) sizesOf(list []mes.Event, opts []dynamostore.Option) ([]int, error) {
	var sizes []int
	var wrong error
	client := dynamodb.New(dynamodb.Options{
		Region: "eu-west-1", BaseEndpoint: aws.String("http://nowhere.invalid"),
		Credentials: credentials.NewStaticCredentialsProvider("AKID", "SECRET", ""),
		HTTPClient: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			var in struct {
				RequestItems map[string][]struct {
					PutRequest struct{ Item map[string]json.RawMessage }
				}
			}
			if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
				return nil, err
			}
			for _, requests := range in.RequestItems {
				for _, request := range requests {
					size, err := membersSize(request.PutRequest.Item)
					wrong = errors.Join(wrong, err)
					sizes = append(sizes, size)
				}
			}
			answer := `{"ConsumedCapacity":[` + consumed + `],"UnprocessedItems":{}}`
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader([]byte(answer))), ContentLength: int64(len(answer))}, nil
		})},
	})
	store, _, err := b.store(client, "capacity", append(opts, dynamostore.WithParallelism(1))...)
	if err != nil {
		return nil, err
	}
	if err := store.Save(b.ctx, list...); err != nil {
		return nil, err
	}
	return sizes, wrong
}

// readUnits is what a Query of so many bytes consumes, if it is consistent.
func readUnits(size int) int64 { return max(1, int64(size+4095)/4096) }

// itemSize is the size of an item as DynamoDB counts it.
func itemSize(item json.RawMessage) (int, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(item, &members); err != nil {
		return 0, err
	}
	return membersSize(members)
}

func membersSize(members map[string]json.RawMessage) (size int, err error) {
	for name, value := range members {
		n, err := sizeOf(value)
		if err != nil {
			return 0, err
		}
		size += len(name) + n
	}
	return size, nil
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// sizeOf is the size of an attribute value as DynamoDB counts it.
func sizeOf(value json.RawMessage) (int, error) {
	var v struct {
		S, N, B *string
		M       map[string]json.RawMessage
		L       []json.RawMessage
	}
	if err := json.Unmarshal(value, &v); err != nil {
		return 0, err
	}
	size := 1 // BOOL and NULL
	switch {
	case v.S != nil:
		return len(*v.S), nil
	case v.N != nil:
		return 1 + (len(*v.N)+1)/2, nil
	case v.B != nil:
		return base64.StdEncoding.DecodedLen(len(*v.B)), nil
	case v.M != nil:
		size = 3
		for name, member := range v.M {
			n, err := sizeOf(member)
			if err != nil {
				return 0, err
			}
			size += 1 + len(name) + n
		}
	case v.L != nil:
		size = 3
		for _, element := range v.L {
			n, err := sizeOf(element)
			if err != nil {
				return 0, err
			}
			size += 1 + n
		}
	}
	return size, nil
}
