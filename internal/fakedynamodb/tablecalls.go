package fakedynamodb

import "time"

type nameInput struct{ TableName string }

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// anyTable finds a table in whatever state, by name or ARN.
func (s *Server) anyTable(name string) (*table, *apiError) {
	t := s.tables[tableName(name)]
	if t == nil {
		return nil, failure(codeNotFound, "Requested resource not found: Table: %s not found", tableName(name))
	}
	return t, nil
}

func (s *Server) describeTable(body []byte, _ Fault) ([]byte, *apiError) {
	var in nameInput
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	t, err := s.anyTable(in.TableName)
	if err != nil {
		return nil, err
	}
	out := reply(map[string]any{"Table": t.describe()})
	if t.pending > 0 {
		t.settle(t.pending - 1)
	}
	return out, nil
}

func (s *Server) deleteTable(body []byte, _ Fault) ([]byte, *apiError) {
	var in nameInput
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	t, err := s.anyTable(in.TableName)
	if err != nil {
		return nil, err
	}
	if t.protected {
		return nil, invalid("Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.")
	}
	if t.status != "ACTIVE" {
		return nil, failure(codeInUse, "Attempt to change a resource which is still in use: Table is being created: %s", t.name)
	}
	t.status = "DELETING"
	// "DeleteTable", API reference: the table's stream goes to DISABLED and is
	// kept for 24 hours.
	t.stream.disable()
	delete(s.tables, t.name)
	return reply(map[string]any{"TableDescription": t.describe()}), nil
}

func (s *Server) updateTable(body []byte, _ Fault) ([]byte, *apiError) {
	var in struct {
		TableName                 string
		BillingMode               string
		ProvisionedThroughput     *throughput
		StreamSpecification       *streamSpec
		DeletionProtectionEnabled *bool
	}
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	t, err := s.anyTable(in.TableName)
	if err != nil {
		return nil, err
	}
	if t.status != "ACTIVE" {
		return nil, failure(codeInUse, "Attempt to change a resource which is still in use: Table is being updated: %s", t.name)
	}
	if in.BillingMode == "" && in.ProvisionedThroughput == nil && in.StreamSpecification == nil && in.DeletionProtectionEnabled == nil {
		return nil, invalid("At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or SSESpecification or ReplicaUpdates is required")
	}
	if in.BillingMode != "" || in.ProvisionedThroughput != nil {
		if err := t.bill(in.BillingMode, in.ProvisionedThroughput); err != nil {
			return nil, err
		}
	}
	if in.StreamSpecification != nil {
		if err := s.setStream(t, *in.StreamSpecification); err != nil {
			return nil, err
		}
	}
	if in.DeletionProtectionEnabled != nil {
		t.protected = *in.DeletionProtectionEnabled
	}
	t.status = "UPDATING"
	out := reply(map[string]any{"TableDescription": t.describe()})
	t.settle(s.slow)
	return out, nil
}

// listTables answers at most 100 names at a time, in order ("ListTables", API
// reference; the real service promises no order).
func (s *Server) listTables(body []byte, _ Fault) ([]byte, *apiError) {
	var in struct {
		Limit                   *int
		ExclusiveStartTableName string
	}
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	limit := 100
	if in.Limit != nil {
		limit = *in.Limit
	}
	if limit < 1 || limit > 100 {
		return nil, invalid("1 validation error detected: Value '%d' at 'limit' failed to satisfy constraint: Member must have value between 1 and 100", limit)
	}
	names := []string{}
	out := map[string]any{}
	for _, name := range sortedKeys(s.tables) {
		if name <= in.ExclusiveStartTableName {
			continue
		}
		if len(names) == limit {
			out["LastEvaluatedTableName"] = names[limit-1]
			break
		}
		names = append(names, name)
	}
	out["TableNames"] = names
	return reply(out), nil
}
