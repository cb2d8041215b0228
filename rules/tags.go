package rules

import (
	"encoding/json"
	"maps"
	"slices"

	mes "github.com/microeventstore/microeventstore"
)

// tags merges the tags of events: the last one that has a tag decides.
func (e *Evaluator) tags(causes []mes.Event) (map[string]json.RawMessage, error) {
	merged := make(map[string]json.RawMessage)
	for i := range causes {
		mergeTags(merged, &causes[i])
	}
	delete(merged, "source") // who emits the event is its source
	delete(merged, "region")
	if e.source != "" {
		source, err := json.Marshal(e.source)
		if err != nil {
			return nil, err
		}
		merged["source"] = source
	}
	return merged, nil
}

// mergeTags adds the tags of one event, from the places where [mes.Event.Tag] looks
// for them: what it finds first comes last. What is no object has no tags.
func mergeTags(merged map[string]json.RawMessage, e *mes.Event) {
	maps.Copy(merged, extensions(e))
	if data := e.Data(); len(data) != len(e.Raw) { // it is in an envelope
		if fields, err := members(data); err == nil {
			mergeObject(merged, fields["tags"])
		}
	}
	tags, _ := e.Field("tags")
	mergeObject(merged, tags)
}

func mergeObject(merged map[string]json.RawMessage, tags json.RawMessage) {
	if fields, err := members(tags); err == nil {
		maps.Copy(merged, fields)
	}
}

// extensions returns the extension attributes of a CloudEvent, but for what the
// library's own envelope calls the same.
func extensions(e *mes.Event) map[string]json.RawMessage {
	if version, ok := e.Field("specversion"); !ok || string(version) != `"1.0"` {
		return nil
	}
	attributes, err := members(e.Raw)
	if err != nil || !isText(attributes["id"]) || !isText(attributes["source"]) || !isText(attributes["type"]) {
		return nil
	}
	maps.DeleteFunc(attributes, func(name string, value json.RawMessage) bool {
		nested := value[0] == '{' || value[0] == '[' || value[0] == 'n'
		return nested || slices.Contains(contextAttributes(), name) || slices.Contains(envelope(), name)
	})
	return attributes
}

func isText(value json.RawMessage) bool { return len(value) > len(`""`) && value[0] == '"' }

// contextAttributes are the members of a CloudEvent that are no extensions. Source:
// CloudEvents 1.0.2, "Context Attributes" and the JSON format.
func contextAttributes() []string {
	return []string{"id", "source", "specversion", "type", "datacontenttype", "dataschema", "subject", "time", "data", "data_base64", "partitionkey"}
}
