package fakedynamodb

import "slices"

// writeInput is what the requests that write one item have in common; a parameter
// that is not in a request is refused.
type writeInput struct {
	TableName                           string
	ConditionExpression                 *string
	ExpressionAttributeNames            map[string]string
	ExpressionAttributeValues           map[string]*wireValue
	ReturnConsumedCapacity              string
	ReturnValues                        string
	ReturnValuesOnConditionCheckFailure string
}

type putInput struct {
	writeInput
	Item map[string]*wireValue
}

type deleteInput struct {
	writeInput
	Key map[string]*wireValue
}

type getInput struct {
	TableName                string
	Key                      map[string]*wireValue
	ConsistentRead           bool
	ProjectionExpression     *string
	ExpressionAttributeNames map[string]string
	ReturnConsumedCapacity   string
}

// condition parses the condition, which is nil if there is none, and checks what
// else there is but the item. It is the last to use the names.
func (in *writeInput) condition(names *aliases, returnValues ...string) (cond *node, err *apiError) {
	if in.ConditionExpression != nil {
		cond, err = parseCondition("ConditionExpression", *in.ConditionExpression, names)
	}
	if err == nil {
		err = names.allUsed()
	}
	if err == nil && in.ReturnValues != "" && !slices.Contains(returnValues, in.ReturnValues) {
		err = invalid("Return values set to invalid value")
	}
	if err == nil {
		err = checkCapacityMode(in.ReturnConsumedCapacity)
	}
	return cond, err
}

// holds checks a condition against the item that is there, which is empty when
// there is none ("PutItem", API reference: ConditionalCheckFailedException,
// ReturnValuesOnConditionCheckFailure).
func (in *writeInput) holds(cond *node, r *row) *apiError {
	var it item
	if r != nil {
		it = r.item
	}
	if cond == nil || cond.match(it) {
		return nil
	}
	err := failure(codeCondition, msgConditionFailed)
	if in.ReturnValuesOnConditionCheckFailure == "ALL_OLD" {
		err.item = it
	}
	return err
}

func (s *Server) putItem(body []byte, _ Fault) ([]byte, *apiError) {
	var in putInput
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	t, cond, err := s.beginWrite(&in.writeInput)
	if err != nil {
		return nil, err
	}
	after, err := t.checkNewItem(in.Item)
	if err != nil {
		return nil, err
	}
	return s.write(t, "PutItem", &in.writeInput, cond, t.find(after.hash, after.rng), after)
}

func (s *Server) deleteItem(body []byte, _ Fault) ([]byte, *apiError) {
	var in deleteInput
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	t, cond, err := s.beginWrite(&in.writeInput)
	if err != nil {
		return nil, err
	}
	k, err := t.checkKey(in.Key)
	if err != nil {
		return nil, err
	}
	before, _ := t.lookup(k)
	return s.write(t, "DeleteItem", &in.writeInput, cond, before, nil)
}

// beginWrite checks all of a PutItem or DeleteItem but the item.
func (s *Server) beginWrite(in *writeInput) (*table, *node, *apiError) {
	names, err := newAliases(in.ExpressionAttributeNames, in.ExpressionAttributeValues, in.ConditionExpression)
	if err != nil {
		return nil, nil, err
	}
	cond, err := in.condition(names, "NONE", "ALL_OLD")
	if err != nil {
		return nil, nil, err
	}
	t, err := s.table(in.TableName)
	return t, cond, err
}

// write puts a row in the place of another, or removes it, if the condition holds.
func (s *Server) write(t *table, op string, in *writeInput, cond *node, before, after *row) ([]byte, *apiError) {
	if err := in.holds(cond, before); err != nil {
		return nil, err
	}
	u := s.apply(t, op, before, after, false)
	out := map[string]any{}
	if in.ReturnValues == "ALL_OLD" && before != nil {
		out["Attributes"] = before.json()
	}
	return reply(withCapacity(out, u, in.ReturnConsumedCapacity)), nil
}

func (s *Server) getItem(body []byte, f Fault) ([]byte, *apiError) {
	var in getInput
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	names, err := newAliases(in.ExpressionAttributeNames, nil, in.ProjectionExpression)
	if err != nil {
		return nil, err
	}
	proj, err := parseProjection(in.ProjectionExpression, names)
	if err == nil {
		err = names.allUsed()
	}
	if err == nil {
		err = checkCapacityMode(in.ReturnConsumedCapacity)
	}
	if err != nil {
		return nil, err
	}
	t, err := s.table(in.TableName)
	if err != nil {
		return nil, err
	}
	k, err := t.checkKey(in.Key)
	if err != nil {
		return nil, err
	}
	found := s.read(t, k, in.ConsistentRead, f)
	out := map[string]any{}
	if found != nil {
		out["Item"] = proj.json(found)
	}
	u := used{table: t.name, units: readUnits(sizeOf(found), in.ConsistentRead)}
	return reply(withCapacity(out, u, in.ReturnConsumedCapacity)), nil
}

// read looks one item up, as late as an eventually consistent read may be.
func (s *Server) read(t *table, k item, consistent bool, f Fault) *row {
	found, at := t.lookup(k)
	if !consistent {
		if old, ok := t.overlay(s.lagOf(f))[at.primary()]; ok {
			return old
		}
	}
	return found
}

// lagOf is how many writes an eventually consistent read misses.
func (s *Server) lagOf(f Fault) int {
	if f.kind == faultStale {
		return f.n
	}
	return s.lag
}
