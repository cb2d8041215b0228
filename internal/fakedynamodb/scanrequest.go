package fakedynamodb

import "encoding/json"

// quickly reads a request of one of the kinds that a scanner knows; false leaves
// it to encoding/json.
func quickly(body []byte, into any) bool {
	switch into := into.(type) {
	case *queryInput:
		return scan(body, into, (*scanner).query)
	case *putInput:
		return scan(body, into, (*scanner).put)
	case *batchWriteInput:
		return scan(body, into, (*scanner).batchWrite)
	}
	return false
}

// scan changes nothing where it is false.
func scan[T any](body []byte, into *T, read func(*scanner, *T)) bool {
	s := &scanner{b: body}
	var in T
	if read(s, &in); !s.end() {
		return false
	}
	*into = in
	return true
}

func (s *scanner) query(in *queryInput) {
	s.object(func(name string) {
		switch name {
		case "TableName":
			in.TableName = s.text()
		case "IndexName":
			in.IndexName = s.textAt()
		case "KeyConditionExpression":
			in.KeyConditionExpression = s.textAt()
		case "FilterExpression":
			in.FilterExpression = s.textAt()
		case "ProjectionExpression":
			in.ProjectionExpression = s.textAt()
		case "ExpressionAttributeNames":
			in.ExpressionAttributeNames = s.texts()
		case "ExpressionAttributeValues":
			in.ExpressionAttributeValues = s.values()
		case "ConsistentRead":
			in.ConsistentRead = s.boolean()
		case "ScanIndexForward":
			forward := s.boolean()
			in.ScanIndexForward = &forward
		case "ExclusiveStartKey":
			in.ExclusiveStartKey = s.values()
		case "ReturnConsumedCapacity":
			in.ReturnConsumedCapacity = s.text()
		default:
			s.bad = true
		}
	})
}

func (s *scanner) put(in *putInput) {
	s.object(func(name string) {
		switch name {
		case "TableName":
			in.TableName = s.text()
		case "Item":
			in.Item = s.values()
		case "ConditionExpression":
			in.ConditionExpression = s.textAt()
		case "ExpressionAttributeNames":
			in.ExpressionAttributeNames = s.texts()
		case "ExpressionAttributeValues":
			in.ExpressionAttributeValues = s.values()
		case "ReturnConsumedCapacity":
			in.ReturnConsumedCapacity = s.text()
		case "ReturnValues":
			in.ReturnValues = s.text()
		case "ReturnValuesOnConditionCheckFailure":
			in.ReturnValuesOnConditionCheckFailure = s.text()
		default:
			s.bad = true
		}
	})
}

func (s *scanner) batchWrite(in *batchWriteInput) {
	s.object(func(name string) {
		switch name {
		case "RequestItems":
			in.RequestItems = make(map[string][]json.RawMessage)
			s.object(func(table string) {
				requests := []json.RawMessage{}
				s.list(func() { requests = append(requests, s.raw()) })
				in.RequestItems[table] = requests
			})
		case "ReturnConsumedCapacity":
			in.ReturnConsumedCapacity = s.text()
		default:
			s.bad = true
		}
	})
}

// quickPut reads the usual request of a batch, and checks its values.
func quickPut(raw []byte) (item, bool) {
	s := &scanner{b: raw}
	it := make(item, 8)
	puts := 0
	s.object(func(name string) {
		s.bad = s.bad || name != "PutRequest"
		s.object(func(name string) {
			s.bad = s.bad || name != "Item"
			puts++
			s.object(func(name string) { it[name] = s.value() })
		})
	})
	return it, s.end() && puts == 1
}

// value is a text or a number.
func (s *scanner) value() (v value) {
	kinds := 0
	s.object(func(kind string) {
		kinds++
		switch kind {
		case "S":
			v = value{kind: "S", s: s.text()}
		case "N":
			number, err := numberValue(s.text())
			s.bad = s.bad || err != nil
			v = number
		default:
			s.bad = true
		}
	})
	s.bad = s.bad || kinds != 1
	return v
}

func (s *scanner) texts() map[string]string {
	out := make(map[string]string)
	s.object(func(name string) { out[name] = s.text() })
	return out
}

// values are attribute values by name, of the types that need no more than a text.
func (s *scanner) values() map[string]*wireValue {
	out := make(map[string]*wireValue)
	s.object(func(name string) {
		w := new(wireValue)
		s.object(func(kind string) {
			switch kind {
			case "S":
				w.S = s.textAt()
			case "N":
				w.N = s.textAt()
			default:
				s.bad = true
			}
		})
		out[name] = w
	})
	return out
}
