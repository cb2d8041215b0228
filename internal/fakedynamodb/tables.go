package fakedynamodb

import (
	"fmt"
	"regexp"
)

type tableInput struct {
	TableName                 string
	AttributeDefinitions      []struct{ AttributeName, AttributeType string }
	KeySchema                 []keyElement
	BillingMode               string
	ProvisionedThroughput     *throughput
	StreamSpecification       *streamSpec
	GlobalSecondaryIndexes    []indexInput
	DeletionProtectionEnabled *bool
}

type keyElement struct{ AttributeName, KeyType string }

type throughput struct{ ReadCapacityUnits, WriteCapacityUnits int64 }

type streamSpec struct {
	StreamEnabled  bool
	StreamViewType string
}

type indexInput struct {
	IndexName  string
	KeySchema  []keyElement
	Projection struct {
		ProjectionType   string
		NonKeyAttributes []string
	}
}

// "Supported data types and naming rules in Amazon DynamoDB": table and index
// names have 3 to 255 characters of a-z, A-Z, 0-9, _, -, and dot.
var validName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{3,255}$`)

func (s *Server) createTable(body []byte, _ Fault) ([]byte, *apiError) {
	var in tableInput
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	if !validName.MatchString(in.TableName) {
		return nil, invalid("1 validation error detected: Value '%s' at 'tableName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+ and have length between 3 and 255", in.TableName)
	}
	if s.tables[in.TableName] != nil {
		return nil, failure(codeInUse, "Table already exists: %s", in.TableName)
	}
	t := &table{
		index:   index{name: in.TableName, projection: "ALL", rows: map[string][]*row{}},
		arn:     fmt.Sprintf("arn:aws:dynamodb:%s:%s:table/%s", region, account, in.TableName),
		id:      s.newID(),
		created: s.now(),
		// The answer says CREATING, whenever the table may be used
		// ("CreateTable", API reference).
		status: "CREATING",
	}
	if err := t.define(in); err != nil {
		return nil, err
	}
	if err := t.bill(in.BillingMode, in.ProvisionedThroughput); err != nil {
		return nil, err
	}
	if in.DeletionProtectionEnabled != nil {
		t.protected = *in.DeletionProtectionEnabled
	}
	if spec := in.StreamSpecification; spec != nil {
		if err := s.setStream(t, *spec); err != nil {
			return nil, err
		}
	}
	s.tables[in.TableName] = t
	out := reply(map[string]any{"TableDescription": t.describe()})
	t.settle(s.slow)
	return out, nil
}

func (s *Server) newID() string {
	s.ids++
	return fmt.Sprintf("00000000-0000-4000-8000-%012d", s.ids)
}

// settle makes the table ACTIVE, at once or after some calls of DescribeTable.
func (t *table) settle(calls int) {
	t.pending = calls
	if calls == 0 {
		t.status = "ACTIVE"
	}
}

// define reads the key schema and the indexes ("CreateTable", API reference:
// AttributeDefinitions, KeySchema).
func (t *table) define(in tableInput) *apiError {
	kinds, used := map[string]string{}, map[string]bool{}
	for _, a := range in.AttributeDefinitions {
		if a.AttributeType != "S" && a.AttributeType != "N" && a.AttributeType != "B" {
			return invalid("1 validation error detected: Value '%s' at 'attributeDefinitions.1.member.attributeType' failed to satisfy constraint: Member must satisfy enum value set: [B, N, S]", a.AttributeType)
		}
		kinds[a.AttributeName] = a.AttributeType
	}
	var err *apiError
	if t.schema, err = readSchema(in.KeySchema, kinds, used); err != nil {
		return err
	}
	for _, x := range in.GlobalSecondaryIndexes {
		sch, err := readSchema(x.KeySchema, kinds, used)
		if err != nil {
			return err
		}
		switch x.Projection.ProjectionType {
		case "ALL", "KEYS_ONLY", "INCLUDE":
		default:
			return invalidParameter("Unknown ProjectionType: %s", x.Projection.ProjectionType)
		}
		t.global = append(t.global, &index{name: x.IndexName, schema: sch, projection: x.Projection.ProjectionType,
			include: x.Projection.NonKeyAttributes, rows: map[string][]*row{}})
	}
	if len(used) != len(kinds) {
		return invalidParameter("Some AttributeDefinitions are not used. AttributeDefinitions: %v, keys used: %v", sortedKeys(kinds), sortedKeys(used))
	}
	return nil
}

func readSchema(elements []keyElement, kinds map[string]string, used map[string]bool) (schema, *apiError) {
	var out schema
	if len(elements) == 0 || len(elements) > 2 {
		return out, invalid("1 validation error detected: Value at 'keySchema' failed to satisfy constraint: Member must have length between 1 and 2")
	}
	for i, e := range elements {
		kind, ok := kinds[e.AttributeName]
		if !ok {
			return out, invalidParameter("Some index key attributes are not defined in AttributeDefinitions. Keys: [%s], AttributeDefinitions: %v", e.AttributeName, sortedKeys(kinds))
		}
		used[e.AttributeName] = true
		switch {
		case i == 0 && e.KeyType == "HASH":
			out.hash = key{e.AttributeName, kind}
		case i == 1 && e.KeyType == "RANGE":
			out.rng = key{e.AttributeName, kind}
		default:
			return out, invalid("Invalid KeySchema: The first KeySchemaElement is not a HASH key type")
		}
	}
	if out.hash.name == out.rng.name {
		return out, invalid("Both the Hash Key and the Range Key element in the KeySchema have the same name")
	}
	return out, nil
}

func (t *table) bill(mode string, tp *throughput) *apiError {
	switch mode {
	case "PAY_PER_REQUEST":
		if tp != nil {
			return invalidParameter("Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST")
		}
		t.read, t.write = 0, 0
	case "", "PROVISIONED":
		if tp == nil {
			return invalidParameter("ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED")
		}
		t.read, t.write = tp.ReadCapacityUnits, tp.WriteCapacityUnits
		mode = "PROVISIONED"
	default:
		return invalid("1 validation error detected: Value '%s' at 'billingMode' failed to satisfy constraint: Member must satisfy enum value set: [PROVISIONED, PAY_PER_REQUEST]", mode)
	}
	t.billing = mode
	return nil
}

// describe is the table's TableDescription.
func (t *table) describe() map[string]any {
	kinds := map[string]string{}
	out := map[string]any{
		"TableName":                 t.name,
		"TableArn":                  t.arn,
		"TableId":                   t.id,
		"TableStatus":               t.status,
		"CreationDateTime":          seconds(t.created),
		"KeySchema":                 t.schema.describe(kinds),
		"ItemCount":                 t.itemCount,
		"TableSizeBytes":            t.totalBytes,
		"BillingModeSummary":        map[string]any{"BillingMode": t.billing},
		"ProvisionedThroughput":     map[string]any{"ReadCapacityUnits": t.read, "WriteCapacityUnits": t.write, "NumberOfDecreasesToday": 0},
		"DeletionProtectionEnabled": t.protected,
	}
	var indexes []any
	for _, x := range t.global {
		p := map[string]any{"ProjectionType": x.projection}
		if x.projection == "INCLUDE" {
			p["NonKeyAttributes"] = x.include
		}
		indexes = append(indexes, map[string]any{
			"IndexName": x.name, "IndexArn": t.arn + "/index/" + x.name, "IndexStatus": "ACTIVE",
			"KeySchema": x.schema.describe(kinds), "Projection": p,
		})
	}
	if indexes != nil {
		out["GlobalSecondaryIndexes"] = indexes
	}
	var attributes []any
	for _, name := range sortedKeys(kinds) {
		attributes = append(attributes, map[string]any{"AttributeName": name, "AttributeType": kinds[name]})
	}
	out["AttributeDefinitions"] = attributes
	if st := t.stream; st != nil {
		// The last stream's name stays in the description after it was turned
		// off; StreamSpecification does not ("TableDescription", API reference).
		out["LatestStreamArn"], out["LatestStreamLabel"] = st.arn, st.label
		if st.enabled {
			out["StreamSpecification"] = map[string]any{"StreamEnabled": true, "StreamViewType": st.view}
		}
	}
	return out
}

func (s schema) describe(kinds map[string]string) []any {
	kinds[s.hash.name] = s.hash.kind
	out := []any{map[string]any{"AttributeName": s.hash.name, "KeyType": "HASH"}}
	if s.rng.name != "" {
		kinds[s.rng.name] = s.rng.kind
		out = append(out, map[string]any{"AttributeName": s.rng.name, "KeyType": "RANGE"})
	}
	return out
}
