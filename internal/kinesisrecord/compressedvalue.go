package kinesisrecord

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/microeventstore/microeventstore/internal/jsonscan"
)

// valuePrefix begins a string that stands for a compressed value: base64 of gzip of
// the value's JSON follows. aws-lambda-stream puts such strings in the place of
// large values inside an event, and opens them wherever it meets one. Source:
// src/utils/compression.js of jgilbert01/aws-lambda-stream.
const valuePrefix = "COMPRESSED"

// maxCompound is how often a value may be compressed over and over. The library
// opens what compounds, and avoids making it.
const maxCompound = 8

var errNotJSON = errors.New("a COMPRESSED value does not hold JSON")

// openValues returns data with the compressed values in it opened, as JSON in their
// places. Data that is no JSON, and strings that only begin like such a value, stay
// as they are: the decoder is there to judge them. As aws-lambda-stream, it does not
// look for compressed values inside of an opened one.
func (u *Unpacker) openValues(data []byte, left *int) ([]byte, error) {
	at := bytes.Index(data, []byte(valuePrefix))
	if at < 1 || jsonscan.Check(data) != nil {
		return data, nil
	}
	var opened []byte // with all up to done
	done := 0
	for i := 0; i < len(data); {
		if data[i] != '"' {
			i++
			continue
		}
		end := stringEnd(data, i)
		inside := data[i+1 : end-1]
		if !bytes.HasPrefix(inside, []byte(valuePrefix)) || isName(data[end:]) {
			i = end
			continue
		}
		value, ok, err := u.openValue(inside, left, maxCompound)
		if err != nil {
			return nil, err
		}
		if ok {
			opened = append(append(opened, data[done:i]...), value...)
			done = end
		}
		i = end
	}
	if done == 0 {
		return data, nil
	}
	return append(opened, data[done:]...), nil
}

// stringEnd returns the index after the string that begins at i of valid JSON.
func stringEnd(data []byte, i int) int {
	for i++; data[i] != '"'; i++ {
		if data[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// isName tells whether what precedes rest, a string, is the name of a member.
func isName(rest []byte) bool {
	rest = bytes.TrimLeft(rest, " \t\r\n")
	return len(rest) > 0 && rest[0] == ':'
}

// openValue returns the JSON that the inside of a string stands for. ok is false
// for a string that is no compressed value, though it begins like one.
func (u *Unpacker) openValue(inside []byte, left *int, compound int) (value []byte, ok bool, err error) {
	text := inside[len(valuePrefix):]
	if bytes.IndexByte(text, '\\') >= 0 { // some write / as \/
		if text, ok = jsonscan.AppendUnquoted(nil, text); !ok {
			return nil, false, nil
		}
	}
	packed := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(packed, text)
	if err != nil || !bytes.HasPrefix(packed[:n], []byte(gzipMagic)) {
		return nil, false, nil
	}
	if value, err = u.gunzip(packed[:n], left); err != nil {
		return nil, false, err
	}
	value = bytes.Trim(value, " \t\r\n")
	if jsonscan.Check(value) != nil {
		return nil, false, errNotJSON
	}
	if !bytes.HasPrefix(value, []byte(`"`+valuePrefix)) {
		return value, true, nil
	}
	if compound == 1 {
		return nil, false, fmt.Errorf("a COMPRESSED value is compressed more than %d times over", maxCompound)
	}
	inner, ok, err := u.openValue(value[1:len(value)-1], left, compound-1)
	if err != nil || ok {
		return inner, ok, err
	}
	return value, true, nil
}
