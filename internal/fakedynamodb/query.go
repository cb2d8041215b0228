package fakedynamodb

import (
	"encoding/json"
	"slices"
)

// "Querying tables in DynamoDB": a page ends at 1 MB of data, counted before
// the filter.
const maxPage = 1 << 20

type queryInput struct {
	TableName                 string
	IndexName                 *string
	KeyConditionExpression    *string
	FilterExpression          *string
	ProjectionExpression      *string
	ExpressionAttributeNames  map[string]string
	ExpressionAttributeValues map[string]*wireValue
	ConsistentRead            bool
	ScanIndexForward          *bool
	Limit                     *int
	ExclusiveStartKey         map[string]*wireValue
	Select                    string
	ReturnConsumedCapacity    string
}

// search is a Query that has been checked.
type search struct {
	t        *table
	x        *index
	cond     keyCondition
	filter   *node
	proj     projection
	forward  bool
	limit    int // 0 = none
	start    *row
	startSet item
}

func (s *Server) query(body []byte, f Fault) ([]byte, *apiError) {
	var in queryInput
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	q, err := s.checkQuery(in)
	if err != nil {
		return nil, err
	}
	rows := q.candidates(in.ConsistentRead, s.lagOf(f))
	page, more := q.page(rows, f)
	size := 0
	items := []json.RawMessage{}
	count := 0
	for _, r := range page {
		size += r.size
		if q.filter != nil && !q.filter.match(r.item) {
			continue
		}
		count++
		if in.Select != "COUNT" {
			items = append(items, q.proj.json(r))
		}
	}
	out := map[string]any{"Count": count, "ScannedCount": len(page)}
	if in.Select != "COUNT" {
		out["Items"] = items
	}
	switch {
	case f.kind == faultEmptyPage && len(rows) > 0:
		out["LastEvaluatedKey"] = rawItem(q.keyBefore(rows[0]))
	case more:
		out["LastEvaluatedKey"] = rawItem(page[len(page)-1].item.only(q.keyNames()...))
	}
	u := used{table: q.t.name, units: readUnits(size, in.ConsistentRead)}
	if q.x != &q.t.index {
		u.indexes, u.units = map[string]float64{q.x.name: u.units}, 0
	}
	return reply(withCapacity(out, u, in.ReturnConsumedCapacity)), nil
}

func (s *Server) checkQuery(in queryInput) (*search, *apiError) {
	names, err := newAliases(in.ExpressionAttributeNames, in.ExpressionAttributeValues,
		in.KeyConditionExpression, in.FilterExpression, in.ProjectionExpression)
	if err != nil {
		return nil, err
	}
	q := &search{forward: in.ScanIndexForward == nil || *in.ScanIndexForward}
	if in.KeyConditionExpression == nil {
		return nil, invalid("Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.")
	}
	var cond *node
	if in.FilterExpression != nil {
		if q.filter, err = parseCondition("FilterExpression", *in.FilterExpression, names); err != nil {
			return nil, err
		}
	}
	if q.proj, err = parseProjection(in.ProjectionExpression, names); err != nil {
		return nil, err
	}
	if cond, err = parseCondition("KeyConditionExpression", *in.KeyConditionExpression, names); err != nil {
		return nil, err
	}
	if err = names.allUsed(); err == nil {
		err = checkCapacityMode(in.ReturnConsumedCapacity)
	}
	if err == nil {
		err = q.checkOptions(in)
	}
	if err != nil {
		return nil, err
	}
	if q.t, err = s.table(in.TableName); err != nil {
		return nil, err
	}
	if err = q.chooseIndex(in); err != nil {
		return nil, err
	}
	if q.cond, err = readKeyCondition(cond, q.x.schema); err != nil {
		return nil, err
	}
	if err = q.checkFilter(); err != nil {
		return nil, err
	}
	return q, q.checkStart(in.ExclusiveStartKey)
}

func (q *search) checkOptions(in queryInput) *apiError {
	if in.Limit != nil {
		if *in.Limit < 1 {
			return invalid("1 validation error detected: Value '%d' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1", *in.Limit)
		}
		q.limit = *in.Limit
	}
	switch in.Select {
	case "", "ALL_ATTRIBUTES", "COUNT", "ALL_PROJECTED_ATTRIBUTES", "SPECIFIC_ATTRIBUTES":
	default:
		return invalid("1 validation error detected: Value '%s' at 'select' failed to satisfy constraint: Member must satisfy enum value set: [SPECIFIC_ATTRIBUTES, COUNT, ALL_ATTRIBUTES, ALL_PROJECTED_ATTRIBUTES]", in.Select)
	}
	switch {
	case in.ProjectionExpression != nil && in.Select != "" && in.Select != "SPECIFIC_ATTRIBUTES":
		return invalid("Cannot specify the ProjectionExpression when choosing to get %s", in.Select)
	case in.Select == "ALL_PROJECTED_ATTRIBUTES" && in.IndexName == nil:
		return invalidParameter("ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName")
	}
	return nil
}

// chooseIndex: "Querying a global secondary index": it has no consistent read.
func (q *search) chooseIndex(in queryInput) *apiError {
	q.x = &q.t.index
	if in.IndexName == nil {
		return nil
	}
	i := slices.IndexFunc(q.t.global, func(x *index) bool { return x.name == *in.IndexName })
	if i < 0 {
		return invalid("The table does not have the specified index: %s", *in.IndexName)
	}
	q.x = q.t.global[i]
	if in.ConsistentRead {
		return invalid("Consistent reads are not supported on global secondary indexes")
	}
	if in.Select == "ALL_ATTRIBUTES" && q.x.projection != "ALL" {
		return invalidParameter("Select type ALL_ATTRIBUTES is not supported for global secondary index %s because its projection type is not ALL", q.x.name)
	}
	return nil
}

// checkFilter: "Filter expressions for the Query operation in DynamoDB": a
// filter cannot hold key attributes.
func (q *search) checkFilter() *apiError {
	keys := q.x.schema.names()
	var check func(n *node) *apiError
	check = func(n *node) *apiError {
		if n.op == "path" && slices.Contains(keys, n.path[0].name) {
			return invalid("Filter Expression can only contain non-primary key attributes: Primary key attribute: %s", n.path[0].name)
		}
		for _, k := range n.kids {
			if err := check(k); err != nil {
				return err
			}
		}
		return nil
	}
	if q.filter == nil {
		return nil
	}
	return check(q.filter)
}
