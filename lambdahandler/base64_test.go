package lambdahandler

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
)

func FuzzBase64(f *testing.F) {
	for _, text := range []string{"", "e30=", "e3==", "e30", strings.Repeat("AAEC", 9), strings.Repeat("/+9", 12), strings.Repeat("AAEC\n", 9), strings.Repeat("AAEC", 3) + "A-==", strings.Repeat("AAEC", 5) + "AA==", strings.Repeat("AA==", 5)} {
		f.Add([]byte(text), []byte(text))
	}
	table := newBase64Table()
	f.Fuzz(func(t *testing.T, text, data []byte) {
		for _, text := range [][]byte{text, []byte(base64.StdEncoding.EncodeToString(data))} {
			size := base64.StdEncoding.DecodedLen(len(text))
			want, got := make([]byte, size), make([]byte, size)
			wantN, wantErr := base64.StdEncoding.Decode(want, text)
			gotN, err := table.decode(got, text)
			if (err == nil) != (wantErr == nil) || err != nil && err.Error() != wantErr.Error() {
				t.Fatalf("%v, not %v", err, wantErr)
			}
			if err == nil && !bytes.Equal(want[:wantN], got[:gotN]) {
				t.Fatalf("%x, not %x", got[:gotN], want[:wantN])
			}
			usualN, usual := table.decodeUsual(make([]byte, size), text)
			if plain := wantErr == nil && !bytes.ContainsAny(text, "\r\n"); usual != plain || usual && usualN != wantN {
				t.Fatalf("usual: %v, %d bytes of %d", usual, usualN, wantN)
			}
			inside := append(bytes.Clone(text), `","x":"AAAA"`...)
			insideN, end, ok := table.decodeText(got, inside)
			if usual && (!ok || insideN != wantN || end != len(text) || !bytes.Equal(want[:wantN], got[:insideN])) {
				t.Fatalf("inside a text: %v, %d bytes of %d", ok, insideN, wantN)
			}
			if ok && (inside[end] != '"' || bytes.ContainsAny(inside[:end], "\"\\\r\n")) {
				t.Fatalf("%q ends at %d", inside, end)
			}
		}
	})
}
