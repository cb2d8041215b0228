package fakedynamodb

import (
	"strconv"
	"time"
)

// updateTimeToLive turns TTL on or off ("UpdateTimeToLive", API reference).
// Turning on what is on, even under another attribute, is an error.
func (s *Server) updateTimeToLive(body []byte, _ Fault) ([]byte, *apiError) {
	var in struct {
		TableName               string
		TimeToLiveSpecification struct {
			AttributeName string
			Enabled       bool
		}
	}
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	t, err := s.anyTable(in.TableName)
	if err != nil {
		return nil, err
	}
	spec := in.TimeToLiveSpecification
	switch {
	case t.status == "CREATING":
		return nil, failure(codeInUse, "Attempt to change a resource which is still in use: Table is being created: %s", t.name)
	case spec.AttributeName == "":
		return nil, invalid("1 validation error detected: Value '' at 'timeToLiveSpecification.attributeName' failed to satisfy constraint: Member must have length greater than or equal to 1")
	case spec.Enabled && t.ttl == spec.AttributeName:
		return nil, invalid("TimeToLive is already enabled")
	case spec.Enabled && t.ttl != "":
		return nil, invalid("TimeToLive is active on a different AttributeName: current AttributeName is %s", t.ttl)
	case !spec.Enabled && t.ttl == "":
		return nil, invalid("TimeToLive is already disabled")
	case !spec.Enabled && t.ttl != spec.AttributeName:
		return nil, invalid("TimeToLive is active on a different AttributeName: current AttributeName is %s", t.ttl)
	}
	t.ttl = ""
	if spec.Enabled {
		t.ttl = spec.AttributeName
	}
	return reply(map[string]any{"TimeToLiveSpecification": spec}), nil
}

func (s *Server) describeTimeToLive(body []byte, _ Fault) ([]byte, *apiError) {
	var in nameInput
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	t, err := s.anyTable(in.TableName)
	if err != nil {
		return nil, err
	}
	out := map[string]any{"TimeToLiveStatus": "DISABLED"}
	if t.ttl != "" {
		out = map[string]any{"TimeToLiveStatus": "ENABLED", "AttributeName": t.ttl}
	}
	return reply(map[string]any{"TimeToLiveDescription": out}), nil
}

// ExpireNow does what the service does within a few days: it removes the
// table's items whose TTL attribute is a number of seconds before now, but not
// more than five years before ("Using time to live (TTL) in DynamoDB"), and
// writes REMOVE records with the service's user identity. It returns how many
// it removed; none when TTL is off.
func (s *Server) ExpireNow(tableName string, now time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tables[tableName]
	if t == nil || t.ttl == "" {
		return 0
	}
	var expired []*row
	for _, h := range sortedKeys(t.rows) {
		for _, r := range t.rows[h] {
			if r.expired(t.ttl, now) {
				expired = append(expired, r)
			}
		}
	}
	s.current = 0
	for _, r := range expired {
		s.apply(t, "TTL", r, nil, true)
	}
	return len(expired)
}

func (r *row) expired(attribute string, now time.Time) bool {
	v, ok := r.item[attribute]
	if !ok || v.kind != "N" { // another type never expires
		return false
	}
	at, err := strconv.ParseFloat(v.s, 64)
	if err != nil {
		return false
	}
	oldest := float64(now.AddDate(-5, 0, 0).Unix())
	return at < float64(now.Unix()) && at >= oldest
}
