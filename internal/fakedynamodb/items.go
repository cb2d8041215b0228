package fakedynamodb

// putInput and the like are the requests; a parameter that is not in them is
// refused.
type putInput struct {
	TableName                           string
	Item                                map[string]*wireValue
	ConditionExpression                 *string
	ExpressionAttributeNames            map[string]string
	ExpressionAttributeValues           map[string]*wireValue
	ReturnConsumedCapacity              string
	ReturnItemCollectionMetrics         string
	ReturnValues                        string
	ReturnValuesOnConditionCheckFailure string
}

type keyInput struct {
	TableName                           string
	Key                                 map[string]*wireValue
	ConditionExpression                 *string
	UpdateExpression                    *string
	ExpressionAttributeNames            map[string]string
	ExpressionAttributeValues           map[string]*wireValue
	ReturnConsumedCapacity              string
	ReturnItemCollectionMetrics         string
	ReturnValues                        string
	ReturnValuesOnConditionCheckFailure string
}

type getInput struct {
	TableName                string
	Key                      map[string]*wireValue
	ConsistentRead           bool
	ProjectionExpression     *string
	ExpressionAttributeNames map[string]string
	ReturnConsumedCapacity   string
}

// condition parses an optional condition.
func condition(text *string, names *aliases) (*node, *apiError) {
	if text == nil {
		return nil, nil
	}
	return parseCondition("ConditionExpression", *text, names)
}

// holds checks a condition against the item that is there, which is empty when
// there is none ("PutItem", API reference: ConditionalCheckFailedException,
// ReturnValuesOnConditionCheckFailure).
func holds(n *node, r *row, returnValues string) *apiError {
	var it item
	if r != nil {
		it = r.item
	}
	if n == nil || n.match(it) {
		return nil
	}
	err := failure(codeCondition, msgConditionFailed)
	if returnValues == "ALL_OLD" {
		err.item = it
	}
	return err
}

func (s *Server) putItem(body []byte, _ Fault) ([]byte, *apiError) {
	var in putInput
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	names, err := newAliases(in.ExpressionAttributeNames, in.ExpressionAttributeValues, in.ConditionExpression)
	if err != nil {
		return nil, err
	}
	cond, err := condition(in.ConditionExpression, names)
	if err == nil {
		err = names.allUsed()
	}
	if err == nil {
		err = checkReturnValues(in.ReturnValues, "NONE", "ALL_OLD")
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
	after, err := t.checkNewItem(in.Item)
	if err != nil {
		return nil, err
	}
	before := t.find(after.hash, after.rng)
	if err := holds(cond, before, in.ReturnValuesOnConditionCheckFailure); err != nil {
		return nil, err
	}
	u := s.apply(t, "PutItem", before, after, false)
	out := map[string]any{}
	if in.ReturnValues == "ALL_OLD" && before != nil {
		out["Attributes"] = before.json()
	}
	return reply(withCapacity(out, u, in.ReturnConsumedCapacity)), nil
}

func checkReturnValues(got string, allowed ...string) *apiError {
	if got == "" {
		return nil
	}
	for _, a := range allowed {
		if got == a {
			return nil
		}
	}
	return invalid("Return values set to invalid value")
}

func (s *Server) deleteItem(body []byte, _ Fault) ([]byte, *apiError) {
	var in keyInput
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	names, err := newAliases(in.ExpressionAttributeNames, in.ExpressionAttributeValues, in.ConditionExpression)
	if err != nil {
		return nil, err
	}
	cond, err := condition(in.ConditionExpression, names)
	if err == nil {
		err = names.allUsed()
	}
	if err == nil {
		err = checkReturnValues(in.ReturnValues, "NONE", "ALL_OLD")
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
	before, _ := t.lookup(k)
	if err := holds(cond, before, in.ReturnValuesOnConditionCheckFailure); err != nil {
		return nil, err
	}
	u := s.apply(t, "DeleteItem", before, nil, false)
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
