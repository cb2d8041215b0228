package kinesisrecord

import (
	"bytes"
	"encoding/json"
	"testing"

	mes "github.com/microeventstore/microeventstore"
)

// check holds what becomes of a Kinesis record to what is promised of every input.
func check(t *testing.T, data []byte) {
	before := bytes.Clone(data)
	got := unpack(t, data, mes.Meta{SequenceNumber: "1", PartitionKey: "p"})
	if !bytes.Equal(before, data) {
		t.Fatal("the input was changed")
	}
	opened := 0
	for i := range got {
		if got[i].Meta.SequenceNumber != "1" || got[i].Meta.SubSequence != int64(i) {
			t.Fatalf("record %d has the meta %+v", i, got[i].Meta)
		}
		opened += len(got[i].Data)
	}
	if opened > maxOpenedInAll+MaxOpened+(maxOpenedPerByte+2)*len(data) {
		t.Fatalf("%d bytes became %d", len(data), opened)
	}
	if json.Valid(data) && len(got) == 1 && got[0].Err == nil && !json.Valid(got[0].Data) {
		t.Fatal("JSON became something else")
	}
}

// The message is sealed here, for a fuzzer does not find an MD5.
func FuzzAggregate(f *testing.F) {
	for _, aggregate := range readNPM(f).Aggregates {
		f.Add(aggregate.Data[4 : len(aggregate.Data)-16])
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		check(t, seal(message))
		check(t, append(aggregateMagic(), message...))
	})
}

func FuzzCompressed(f *testing.F) {
	for _, event := range readNPM(f).Compressed {
		f.Add([]byte(event.Data))
		f.Add(gzipped([]byte(event.Data)))
		f.Add(zstandard(f, []byte(event.Data)))
	}
	f.Add([]byte(`{"a":` + value(value(`{"b":1}`)) + `}`))
	f.Fuzz(check)
}
