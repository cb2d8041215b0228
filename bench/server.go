package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	mes "github.com/microeventstore/microeventstore"
)

// The stub server speaks as much of DynamoDB's API as the benchmarks call: it
// keeps items as it got them, and gives back those of a key, in the order of their
// range keys, at most 1 MB at a time. What a table does besides is in its name: a
// sink keeps nothing, and a slow one takes a millisecond for each request.
type server struct {
	mu     sync.Mutex
	tables map[string]map[string]*collation

	queries, bytes, writes, units, itemBytes atomic.Int64
}

type collation struct {
	rangeKeys []string
	items     map[string]storedItem
	sorted    bool
	pages     map[string]page // by what was asked
}

// A storedItem is an item as it came, and its size as DynamoDB counts it.
type storedItem struct {
	json json.RawMessage
	size int
}

type page struct {
	answer []byte
	size   int // of the items
}

const pageSize = 1 << 20

// serve runs the server until its standard input ends, and says where it listens.
func serve() error {
	s := &server{tables: map[string]map[string]*collation{}}
	plain := httptest.NewServer(s)
	defer plain.Close()
	secure := httptest.NewTLSServer(s)
	defer secure.Close()
	fmt.Println(plain.URL)
	fmt.Println(secure.URL)
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// startServer starts the server as a process of its own.
func startServer() (plain, secure string, stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return "", "", nil, err
	}
	command := exec.Command(self, "-serve") // it ends with its input
	command.Stderr = os.Stderr
	input, err := command.StdinPipe()
	if err != nil {
		return "", "", nil, err
	}
	output, err := command.StdoutPipe()
	if err != nil {
		return "", "", nil, err
	}
	if err := command.Start(); err != nil {
		return "", "", nil, err
	}
	stop = func() {
		_ = input.Close()
		_ = command.Wait()
	}
	lines := bufio.NewScanner(output)
	for _, to := range []*string{&plain, &secure} {
		if !lines.Scan() {
			stop()
			return "", "", nil, errors.New("the stub server did not start")
		}
		*to = lines.Text()
	}
	return plain, secure, stop, nil
}

// load puts items into the stub as they are.
func (b *bencher) load(table string, list []mes.Event, image layout) error {
	for begin := 0; begin < len(list); begin += 25 {
		body := batchOf(table, list[begin:min(begin+25, len(list))], image)
		response, err := b.post("BatchWriteItem", body)
		if err != nil {
			return err
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return errors.New("the stub refuses an item")
		}
	}
	return nil
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	var answer []byte
	switch operation {
	case "Query":
		answer, err = s.query(body)
	case "BatchWriteItem":
		answer, err = s.batchWrite(body)
	case "PutItem":
		answer, err = s.put(body)
	case "UpdateItem":
		answer, err = s.update(body)
	case "Counts":
		answer = fmt.Appendf(nil, `{"queries":%d,"bytes":%d,"writes":%d,"units":%d,"itemBytes":%d}`,
			s.queries.Load(), s.bytes.Load(), s.writes.Load(), s.units.Load(), s.itemBytes.Load())
	default:
		err = errors.New("the stub server does not know " + operation)
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		answer = fmt.Appendf(nil, `{"__type":"com.amazonaws.dynamodb.v20120810#ValidationException","message":%q}`, err)
	}
	w.Header().Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE(answer)), 10))
	w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	_, _ = w.Write(answer)
}

const consumed = `{"CapacityUnits":1,"TableName":"t"}`

func slowly(table string) {
	if strings.HasPrefix(table, "slow-") {
		time.Sleep(time.Millisecond)
	}
}

func (s *server) batchWrite(body []byte) ([]byte, error) {
	var in struct {
		RequestItems map[string][]struct {
			PutRequest struct{ Item json.RawMessage }
		}
	}
	if table := tableIn(body, `"RequestItems":{"`); !strings.HasSuffix(table, "-sink") {
		if err := json.Unmarshal(body, &in); err != nil {
			return nil, err
		}
	} else {
		slowly(table)
	}
	for table, requests := range in.RequestItems {
		for _, request := range requests {
			if err := s.keep(table, request.PutRequest.Item); err != nil {
				return nil, err
			}
		}
	}
	s.writes.Add(1)
	return []byte(`{"ConsumedCapacity":[` + consumed + `],"UnprocessedItems":{}}`), nil
}

// tableIn finds the name of the table without reading the rest.
func tableIn(body []byte, before string) string {
	_, after, _ := bytes.Cut(body, []byte(before))
	name, _, _ := bytes.Cut(after, []byte(`"`))
	return string(name)
}

func (s *server) put(body []byte) ([]byte, error) {
	s.writes.Add(1)
	if table := tableIn(body, `"TableName":"`); strings.HasSuffix(table, "-sink") {
		slowly(table)
		return []byte(`{"ConsumedCapacity":` + consumed + `}`), nil
	}
	var in struct {
		TableName string
		Item      json.RawMessage
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	return []byte(`{"ConsumedCapacity":` + consumed + `}`), s.keep(in.TableName, in.Item)
}

// update is what aws-lambda-stream saves with.
func (s *server) update([]byte) ([]byte, error) {
	s.writes.Add(1)
	return []byte(`{"Attributes":{},"ConsumedCapacity":` + consumed + `}`), nil
}

type stringValue struct{ S string }

func (s *server) keep(table string, item json.RawMessage) error {
	var keys struct {
		PartitionKey, EventID stringValue
		PK, Data              stringValue
	}
	if err := json.Unmarshal(item, &keys); err != nil {
		return err
	}
	hashKey, rangeKey := keys.PartitionKey.S+keys.Data.S, keys.EventID.S+keys.PK.S
	if hashKey == "" || rangeKey == "" {
		return errors.New("an item has no keys")
	}
	size, err := itemSize(item)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tables[table] == nil {
		s.tables[table] = map[string]*collation{}
	}
	c := s.tables[table][hashKey]
	if c == nil {
		c = &collation{items: map[string]storedItem{}}
		s.tables[table][hashKey] = c
	}
	if _, again := c.items[rangeKey]; !again {
		c.rangeKeys = append(c.rangeKeys, rangeKey)
		c.sorted = false
	}
	c.items[rangeKey] = storedItem{item, size}
	c.pages = map[string]page{}
	return nil
}

func (s *server) query(body []byte) ([]byte, error) {
	var in struct {
		TableName                 string
		KeyConditionExpression    string
		ExpressionAttributeValues map[string]stringValue
		ExclusiveStartKey         map[string]stringValue
		Limit                     int
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	slowly(in.TableName)
	// "#h = :h AND #r >= :from"; ranges are asked for in no other way here.
	_, value, _ := strings.Cut(in.KeyConditionExpression, "= ")
	value, _, _ = strings.Cut(value, " ")
	from := in.ExpressionAttributeValues[":from"].S
	after := in.ExclusiveStartKey["eventId"].S + in.ExclusiveStartKey["pk"].S
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.tables[in.TableName][in.ExpressionAttributeValues[value].S]
	if c == nil {
		c = &collation{}
	}
	asked := from + "\x00" + after + "\x00" + strconv.Itoa(in.Limit)
	p, known := c.pages[asked]
	if !known {
		p = c.page(in.ExpressionAttributeValues[value].S, from, after, in.Limit)
		if c.pages != nil {
			c.pages[asked] = p
		}
	}
	s.queries.Add(1)
	s.bytes.Add(int64(len(p.answer)))
	s.itemBytes.Add(int64(p.size))
	s.units.Add(readUnits(p.size))
	return p.answer, nil
}

func (c *collation) page(hashKey, from, after string, limit int) page {
	if !c.sorted {
		sort.Strings(c.rangeKeys)
		c.sorted = true
	}
	var items bytes.Buffer
	n, size, newest, last := 0, 0, "", ""
	begin := sort.SearchStrings(c.rangeKeys, max(from, after))
	for _, key := range c.rangeKeys[begin:] {
		if key == after {
			continue
		}
		if size > pageSize || limit > 0 && n == limit {
			last = fmt.Sprintf(`,"LastEvaluatedKey":{"partitionKey":{"S":%q},"eventId":{"S":%q}}`, hashKey, newest)
			break
		}
		if n > 0 {
			items.WriteByte(',')
		}
		items.Write(c.items[key].json)
		size += c.items[key].size
		newest = key
		n++
	}
	return page{fmt.Appendf(nil, `{"ConsumedCapacity":%s,"Count":%d,"Items":[%s]%s,"ScannedCount":%d}`, consumed, n, items.Bytes(), last, n), size}
}
