package fakedynamodb_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// raw sends a body as it is, for what the client would never send.
func (h *harness) raw(operation, body string) (status int, kind, message string) {
	h.Helper()
	resp, out, err := h.post(operation, body)
	require.NoError(h, err)
	var e struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}
	require.NoError(h, json.Unmarshal(out, &e))
	return resp.StatusCode, e.Type, e.Message
}

func TestWhatNoClientSends(t *testing.T) {
	h := start(t)
	put := func(value string) string {
		return `{"TableName":"events","Item":{"pk":{"S":"p"},"sk":{"S":"s"},"v":` + value + `}}`
	}
	for name, c := range map[string]struct{ operation, body, kind, part string }{
		"no type":           {"PutItem", put(`{}`), "ValidationException", "Supplied AttributeValue is empty"},
		"an unknown type":   {"PutItem", put(`{"X":"y"}`), "ValidationException", ""},
		"a null":            {"PutItem", put(`{"S":null}`), "ValidationException", "Supplied AttributeValue is empty"},
		"two types":         {"PutItem", put(`{"S":"a","N":"1"}`), "ValidationException", "more than one datatypes"},
		"a bare number":     {"PutItem", put(`{"N":1}`), "SerializationException", "NUMBER_VALUE"},
		"no JSON":           {"PutItem", `{`, "SerializationException", ""},
		"nothing":           {"PutItem", ``, "SerializationException", ""},
		"unknown parameter": {"PutItem", `{"TableName":"events","Expected":{}}`, "ValidationException", `does not know the parameter "Expected"`},
		"one of another operation": {"DeleteItem", `{"TableName":"events","Key":{},"UpdateExpression":"REMOVE a"}`, "ValidationException",
			`does not know the parameter "UpdateExpression"`},
		"one without effect here": {"CreateTable", `{"TableName":"other","TableClass":"STANDARD"}`, "ValidationException", `does not know the parameter "TableClass"`},
		"unknown operation":       {"TransactWriteItems", `{}`, "UnknownOperationException", ""},
		"Scan":                    {"Scan", `{"TableName":"events"}`, "AccessDeniedException", "refuses Scan"},
	} {
		t.Run(name, func(t *testing.T) {
			status, kind, message := h.raw(c.operation, c.body)
			assert.Equal(t, http.StatusBadRequest, status)
			assert.True(t, strings.HasSuffix(kind, "#"+c.kind), kind)
			assert.Contains(t, message, c.part)
		})
	}
	assert.Equal(t, 1, h.server.Targets()["DynamoDB_20120810.Scan"], "refused and counted")
}
