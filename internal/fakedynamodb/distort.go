package fakedynamodb

import (
	"bytes"
	"compress/gzip"
	"hash/crc32"
	"io"
	"net/http"
	"slices"
	"strconv"
)

const (
	// crcHeader is the CRC32 (IEEE) of the body as sent ("DynamoDB low-level
	// API", response headers: x-amz-crc32).
	crcHeader = "X-Amz-Crc32"
	// gzipFrom: a client that accepts gzip gets it for bodies of some size only.
	gzipFrom = 1 << 10
)

func checksum(body []byte) string {
	return strconv.FormatUint(uint64(crc32.ChecksumIEEE(body)), 10)
}

func compress(body []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(body) // a bytes.Buffer takes everything
	_ = w.Close()
	return b.Bytes()
}

// distort spoils an answer on its way to the client.
func (f Fault) distort(resp *http.Response) *http.Response {
	switch f.kind {
	case faultEmpty, faultCut, faultAlter:
	default:
		return resp
	}
	sent, _ := io.ReadAll(resp.Body) // from memory
	resp.Body = io.NopCloser(bytes.NewReader(sent))
	switch f.kind {
	case faultEmpty:
		header := resp.Header.Clone()
		header.Del(crcHeader)
		return response(resp.Request, http.StatusOK, header, nil)
	case faultCut:
		n := f.n
		if n < 0 {
			n += len(sent)
		}
		n = max(0, min(n, len(sent)-1))
		// What net/http gives when the connection ends before Content-Length.
		resp.Body = io.NopCloser(&cutReader{bytes.NewReader(sent[:n])})
	case faultAlter:
		body := slices.Clone(sent)
		if f.alter != nil {
			body = f.alter(body)
		} else if len(body) > 0 {
			body[len(body)/2] ^= 1
		}
		header := resp.Header.Clone()
		switch f.crc {
		case CRCMissing:
			header.Del(crcHeader)
		case CRCOfAltered:
			header.Set(crcHeader, checksum(body))
		}
		return response(resp.Request, resp.StatusCode, header, body)
	}
	return resp
}

// cutReader ends with io.ErrUnexpectedEOF.
type cutReader struct{ r *bytes.Reader }

func (c *cutReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}
