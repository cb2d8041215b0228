package lambdahandler

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/internal/jsonscan"
)

// messagesOf returns the JSON of each message of a payload. What is wrong in a part of
// one that nobody needs does not matter, and what is wrong in any other concerns that
// message alone.
func messagesOf(payload []byte, from string) ([]json.RawMessage, error) {
	var event struct{ Records []json.RawMessage }
	if err := json.Unmarshal(payload, &event); err != nil {
		return nil, fmt.Errorf("lambdahandler: the payload is no event of %s: %w", from, quiet(err))
	}
	if event.Records == nil {
		return nil, errNoRecords
	}
	return event.Records, nil
}

// quiet leaves out of an error of encoding/json what it quotes of a payload.
func quiet(err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("invalid JSON at byte %d", syntax.Offset)
	}
	return errors.New("a value of the wrong type")
}

// textOf returns what a JSON string stands for, "" for anything else.
func textOf(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) != nil {
		return ""
	}
	return text
}

var errNotText = errors.New("its body is not a string")

// textRecord makes a record of the string that holds an event.
func textRecord(value json.RawMessage) mes.Record {
	if len(value) > 0 && value[0] != '"' && jsonscan.KindOf(value) != jsonscan.Null {
		return mes.Record{Data: value, Err: errNotText}
	}
	return mes.Record{Data: []byte(textOf(value))}
}

var errNoID = errors.New("lambdahandler: a message has no id: the function does not get what it is for")

// withID leaves out the records without an id, which no response could name.
func withID(records []mes.Record) []mes.Record {
	return slices.DeleteFunc(records, func(r mes.Record) bool { return r.Meta.MessageID == "" })
}

// unwrap returns the message inside of what SNS puts around one on its way to a
// queue, unless the subscription has raw message delivery.
func unwrap(body []byte) []byte {
	var fields [4][]byte
	o := jsonscan.Members(body)
	for o.Next() {
		switch string(o.Key) {
		case "Type":
			fields[0] = o.Value
		case "TopicArn":
			fields[1] = o.Value
		case "MessageId":
			fields[2] = o.Value
		case "Message":
			fields[3] = o.Value
		}
	}
	if o.Err() != nil || string(fields[0]) != `"Notification"` {
		return body
	}
	for _, field := range fields {
		if len(field) == 0 || field[0] != '"' {
			return body
		}
	}
	return unquoted(fields[3])
}

// millisOf reads a number of milliseconds since 1970, as text; the zero time for
// anything else.
func millisOf(text string) time.Time {
	t := seconds([]byte(text))
	if t.IsZero() {
		return t
	}
	return time.UnixMilli(t.Unix()).UTC()
}
