package fakedynamodb

import "encoding/json"

// "BatchWriteItem" and "BatchGetItem", API reference.
const (
	maxBatchWrites = 25
	maxBatchGets   = 100
	maxBatchBytes  = 16 << 20
)

type batchWriteInput struct {
	RequestItems           map[string][]json.RawMessage
	ReturnConsumedCapacity string
}

type writeRequest struct {
	PutRequest    *struct{ Item map[string]*wireValue }
	DeleteRequest *struct{ Key map[string]*wireValue }
}

// planned is one write of a batch that has been checked.
type planned struct {
	t     *table
	raw   json.RawMessage
	after *row // nil: delete
	at    *row
}

// batchWriteItem checks everything before it applies anything: one bad item,
// one key twice or a batch that is too long rejects it whole.
func (s *Server) batchWriteItem(body []byte, f Fault) ([]byte, *apiError) {
	var in batchWriteInput
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	if err := checkCapacityMode(in.ReturnConsumedCapacity); err != nil {
		return nil, err
	}
	plan, err := s.planBatch(in.RequestItems)
	if err != nil {
		return nil, err
	}
	if len(body) > maxBatchBytes {
		return nil, failure(codeSerialization, "Request size exceeded 16777216 bytes")
	}
	unprocessed := map[string][]json.RawMessage{}
	spent := map[string]*used{}
	left := 0
	for i, p := range plan {
		if f.kind == faultUnprocessed && f.pick(i) {
			unprocessed[p.t.name] = append(unprocessed[p.t.name], p.raw)
			left++
			continue
		}
		u := s.apply(p.t, "BatchWriteItem", p.t.find(p.at.hash, p.at.rng), p.after, false)
		if spent[p.t.name] == nil {
			spent[p.t.name] = &used{}
		}
		spent[p.t.name].add(u)
	}
	if left == len(plan) && !f.onlyIfReply {
		// "If none of the items can be processed due to insufficient provisioned
		// throughput on all of the tables in the request, then BatchWriteItem
		// returns a ProvisionedThroughputExceededException."
		return nil, failure(codeThroughput, msgThroughput)
	}
	out := map[string]any{"UnprocessedItems": unprocessed}
	return reply(withBatchCapacity(out, spent, in.ReturnConsumedCapacity)), nil
}

func withBatchCapacity(out map[string]any, spent map[string]*used, mode string) map[string]any {
	if mode == "" || mode == "NONE" {
		return out
	}
	all := []any{}
	for _, name := range sortedKeys(spent) {
		c, _ := spent[name].capacity(mode)
		all = append(all, c)
	}
	out["ConsumedCapacity"] = all
	return out
}

func (s *Server) planBatch(requests map[string][]json.RawMessage) ([]planned, *apiError) {
	count := 0
	for _, name := range sortedKeys(requests) {
		n := len(requests[name])
		if n == 0 || n > maxBatchWrites {
			return nil, invalid("1 validation error detected: Value '{%s=[...]}' at 'requestItems' failed to satisfy constraint: Map value must satisfy constraint: [Member must have length less than or equal to 25, Member must have length greater than or equal to 1]", name)
		}
		count += n
	}
	if count == 0 {
		return nil, invalid("1 validation error detected: Value '{}' at 'requestItems' failed to satisfy constraint: Member must have length greater than or equal to 1")
	}
	if count > maxBatchWrites {
		return nil, invalid("Too many items requested for the BatchWriteItem call")
	}
	var plan []planned
	for _, name := range sortedKeys(requests) {
		t, err := s.table(name)
		if err != nil {
			return nil, err
		}
		seen := map[string]bool{}
		for _, raw := range requests[name] {
			p, err := t.plan(raw)
			if err != nil {
				return nil, err
			}
			key := p.at.primary()
			if seen[key] {
				return nil, invalid("Provided list of item keys contains duplicates")
			}
			seen[key] = true
			plan = append(plan, p)
		}
	}
	return plan, nil
}

func (t *table) plan(raw json.RawMessage) (planned, *apiError) {
	p := planned{t: t, raw: raw}
	var err *apiError
	if it, ok := quickPut(raw); ok {
		p.after, err = t.checkPut(it)
		p.at = p.after
		return p, err
	}
	var w writeRequest
	if err := decode(raw, &w); err != nil {
		return p, err
	}
	switch {
	case w.PutRequest != nil && w.DeleteRequest != nil:
		return p, invalid(msgManyTypes)
	case w.PutRequest != nil:
		p.after, err = t.checkNewItem(w.PutRequest.Item)
		p.at = p.after
	case w.DeleteRequest != nil:
		var k item
		if k, err = t.checkKey(w.DeleteRequest.Key); err == nil {
			_, p.at = t.lookup(k)
		}
	default:
		return p, invalid(msgEmptyValue)
	}
	return p, err
}

type getRequest struct {
	Keys                     []map[string]*wireValue
	ConsistentRead           bool
	ProjectionExpression     *string
	ExpressionAttributeNames map[string]string
}

// batchGetItem reads up to 100 keys and 16 MB; what does not fit, and what a
// fault picked, is left in UnprocessedKeys.
func (s *Server) batchGetItem(body []byte, f Fault) ([]byte, *apiError) {
	var in struct {
		RequestItems           map[string]getRequest
		ReturnConsumedCapacity string
	}
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	if err := checkCapacityMode(in.ReturnConsumedCapacity); err != nil {
		return nil, err
	}
	count := 0
	for _, r := range in.RequestItems {
		count += len(r.Keys)
	}
	if count == 0 {
		return nil, invalid("1 validation error detected: Value '{}' at 'requestItems' failed to satisfy constraint: Member must have length greater than or equal to 1")
	}
	if count > maxBatchGets {
		return nil, invalid("Too many items requested for the BatchGetItem call")
	}
	b := batchGet{s: s, f: f, responses: map[string][]json.RawMessage{}, unprocessed: map[string]any{}, spent: map[string]*used{}}
	for _, name := range sortedKeys(in.RequestItems) {
		if err := b.table(name, in.RequestItems[name]); err != nil {
			return nil, err
		}
	}
	if b.left == count && !f.onlyIfReply {
		return nil, failure(codeThroughput, msgThroughput)
	}
	out := map[string]any{"Responses": b.responses, "UnprocessedKeys": b.unprocessed}
	return reply(withBatchCapacity(out, b.spent, in.ReturnConsumedCapacity)), nil
}

// batchGet is a BatchGetItem at work.
type batchGet struct {
	s           *Server
	f           Fault
	i, left     int // keys so far, and those left unprocessed
	bytes       int
	responses   map[string][]json.RawMessage
	unprocessed map[string]any
	spent       map[string]*used
}

func (b *batchGet) table(name string, r getRequest) *apiError {
	t, err := b.s.table(name)
	if err != nil {
		return err
	}
	names, err := newAliases(r.ExpressionAttributeNames, nil, r.ProjectionExpression)
	if err != nil {
		return err
	}
	proj, err := parseProjection(r.ProjectionExpression, names)
	if err == nil {
		err = names.allUsed()
	}
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	var again []json.RawMessage
	b.responses[name] = []json.RawMessage{}
	u := used{table: t.name}
	for _, wire := range r.Keys {
		k, err := t.checkKey(wire)
		if err != nil {
			return err
		}
		_, at := t.lookup(k)
		if seen[at.primary()] {
			return invalid("Provided list of item keys contains duplicates")
		}
		seen[at.primary()] = true
		found := b.s.read(t, k, r.ConsistentRead, b.f)
		skip := b.f.kind == faultUnprocessed && b.f.pick(b.i)
		b.i++
		if skip || b.bytes+sizeOf(found) > maxBatchBytes {
			again = append(again, rawItem(k))
			b.left++
			continue
		}
		b.bytes += sizeOf(found)
		u.units += readUnits(sizeOf(found), r.ConsistentRead)
		if found != nil {
			b.responses[name] = append(b.responses[name], proj.json(found))
		}
	}
	b.spent[name] = &u
	if again != nil {
		rest := map[string]any{"Keys": again, "ConsistentRead": r.ConsistentRead}
		if r.ProjectionExpression != nil {
			rest["ProjectionExpression"] = r.ProjectionExpression
		}
		if r.ExpressionAttributeNames != nil {
			rest["ExpressionAttributeNames"] = r.ExpressionAttributeNames
		}
		b.unprocessed[name] = rest
	}
	return nil
}
