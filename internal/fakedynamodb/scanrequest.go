package fakedynamodb

import "encoding/json"

// quickly reads a request of one of the kinds that a scanner knows; false leaves
// it to encoding/json.
func quickly(body []byte, into any) bool {
	s := &scanner{b: body}
	switch into := into.(type) {
	case *queryInput:
		var in queryInput
		s.query(&in)
		if s.end() {
			*into = in
			return true
		}
	case *putInput:
		var in putInput
		s.put(&in)
		if s.end() {
			*into = in
			return true
		}
	case *batchWriteInput:
		var in batchWriteInput
		s.batchWrite(&in)
		if s.end() {
			*into = in
			return true
		}
	case *writeRequest:
		var in writeRequest
		s.writeRequest(&in)
		if s.end() {
			*into = in
			return true
		}
	}
	return false
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

func (s *scanner) writeRequest(in *writeRequest) {
	s.object(func(name string) {
		switch name {
		case "PutRequest":
			in.PutRequest = new(struct{ Item map[string]*wireValue })
			s.object(func(name string) {
				s.bad = s.bad || name != "Item"
				in.PutRequest.Item = s.values()
			})
		case "DeleteRequest":
			in.DeleteRequest = new(struct{ Key map[string]*wireValue })
			s.object(func(name string) {
				s.bad = s.bad || name != "Key"
				in.DeleteRequest.Key = s.values()
			})
		default:
			s.bad = true
		}
	})
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
