package main

import (
	"encoding/base64"
	"errors"

	"github.com/klauspost/compress/zstd"

	mes "github.com/microeventstore/microeventstore"
)

// unpacked opens each event as it is stored.
func unpacked(list []mes.Event, unpacker *zstd.Decoder) (side, error) {
	packer, err := zstd.NewWriter(nil)
	if err != nil {
		return nil, err
	}
	packed := make([][]byte, len(list))
	for i := range list {
		packed[i] = packer.EncodeAll(list[i].Raw, nil)
	}
	var room []byte
	return func(runs int) (err error) {
		for range runs {
			for i := range packed {
				if room, err = unpacker.DecodeAll(packed[i], room[:0]); err != nil {
					return err
				}
			}
		}
		return nil
	}, packer.Close()
}

// quotesIn looks at each byte once.
func quotesIn(text []byte) (n int) {
	for _, c := range text {
		if c == '"' {
			n++
		}
	}
	return n
}

// oneScan looks at each byte of the events once.
func oneScan(list []mes.Event) side {
	return func(runs int) error {
		for range runs {
			quotes := 0
			for i := range list {
				quotes += quotesIn(list[i].Raw)
			}
			if quotes == 0 {
				return errors.New("not JSON")
			}
		}
		return nil
	}
}

// base64Only decodes what a payload of Kinesis holds, and nothing else.
func base64Only(list []mes.Event) side {
	encoded := make([][]byte, len(list))
	for i := range list {
		encoded[i] = base64.StdEncoding.AppendEncode(nil, list[i].Raw)
	}
	return func(runs int) error {
		var buffer []byte
		for range runs {
			for i := range encoded {
				var err error
				if buffer, err = base64.StdEncoding.AppendDecode(buffer[:0], encoded[i]); err != nil {
					return err
				}
			}
		}
		return nil
	}
}
