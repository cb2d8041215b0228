package fakedynamodb_test

import (
	"context"
	"io"
	"net/http"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/internal/fakedynamodb"
)

// always injects one fault into every call of PutItem and GetItem.
func (h *harness) always(f fakedynamodb.Fault) {
	h.server.Inject(func(c fakedynamodb.Call) fakedynamodb.Fault {
		if c.Operation == "PutItem" || c.Operation == "GetItem" {
			return f
		}
		return fakedynamodb.None()
	})
}

func TestErrorFaults(t *testing.T) {
	for code, f := range map[string]fakedynamodb.Fault{
		"ProvisionedThroughputExceededException": fakedynamodb.Throttle(),
		"ThrottlingException":                    fakedynamodb.ThrottleWith("ThrottlingException"),
		"RequestLimitExceeded":                   fakedynamodb.ThrottleWith("RequestLimitExceeded"),
		"InternalServerError":                    fakedynamodb.InternalError(),
		"ServiceUnavailable":                     fakedynamodb.Unavailable(),
		"AccessDeniedException":                  fakedynamodb.AccessDenied(),
		"ResourceNotFoundException":              fakedynamodb.NotFound(),
		"Teapot":                                 fakedynamodb.Exception(http.StatusTeapot, "Teapot", "short and stout"),
	} {
		h := start(t)
		h.always(f)
		refused(t, h.tryPut(row("p", "s")), code, "")
		assert.Empty(t, h.server.Writes())
	}
}

func TestResets(t *testing.T) {
	h := start(t)
	h.always(fakedynamodb.ResetBefore())
	require.ErrorIs(t, h.tryPut(row("p", "s")), syscall.ECONNRESET)
	assert.Empty(t, h.server.Writes())
	h.always(fakedynamodb.ResetAfter())
	require.ErrorIs(t, h.tryPut(row("p", "s")), syscall.ECONNRESET)
	assert.Len(t, h.server.Writes(), 1)
}

// answer sends one GetItem, to see what is on the wire.
func (h *harness) answer(f fakedynamodb.Fault, headers ...string) (onWire, []byte, error) {
	h.Helper()
	h.always(f)
	return h.post("GetItem", `{"TableName":"events","Key":{"pk":{"S":"p"},"sk":{"S":"s"}}}`, headers...)
}

func TestBodyFaults(t *testing.T) {
	h := start(t)
	h.put(row("p", "s"))
	resp, whole, err := h.answer(fakedynamodb.None())
	require.NoError(t, err)
	assert.JSONEq(t, `{"Item":{"pk":{"S":"p"},"sk":{"S":"s"}}}`, string(whole))
	crc := resp.Header.Get("X-Amz-Crc32")
	assert.Equal(t, crcOf(whole), crc)

	for n, want := range map[int]int{0: 0, 5: 5, -3: len(whole) - 3, 1000: len(whole) - 1} {
		resp, body, err := h.answer(fakedynamodb.CutBody(n))
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		assert.Equal(t, whole[:want], body)
		assert.Equal(t, int64(len(whole)), resp.ContentLength)
		assert.Equal(t, crc, resp.Header.Get("X-Amz-Crc32"))
	}
	for mode, want := range map[fakedynamodb.CRC]string{fakedynamodb.CRCOfOriginal: crc, fakedynamodb.CRCMissing: "", fakedynamodb.CRCOfAltered: crcOf([]byte("{}"))} {
		resp, body, err := h.answer(fakedynamodb.AlterBody(func([]byte) []byte { return []byte("{}") }, mode))
		require.NoError(t, err)
		assert.Equal(t, "{}", string(body))
		assert.Equal(t, want, resp.Header.Get("X-Amz-Crc32"))
		assert.Equal(t, int64(2), resp.ContentLength)
	}
	_, body, err := h.answer(fakedynamodb.AlterBody(nil, fakedynamodb.CRCOfOriginal))
	require.NoError(t, err)
	assert.Len(t, body, len(whole))
	assert.NotEqual(t, whole, body)
	resp, body, err = h.answer(fakedynamodb.EmptyBody())
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	assert.Empty(t, body)
}

// What the SDK makes of them: the library must do better.
func TestTheClientBelievesWhatItShouldNot(t *testing.T) {
	h := start(t)
	h.put(row("p", "s"))
	h.always(fakedynamodb.EmptyBody())
	assert.Nil(t, h.get("p", "s"), "an empty 200 is no item")
	h.always(fakedynamodb.CutBody(-1))
	require.ErrorIs(t, h.tryPut(row("p", "2")), io.ErrUnexpectedEOF)
	assert.Len(t, h.server.Writes(), 2, "and was applied")
}

func TestDelaysAndHangs(t *testing.T) {
	for name, c := range map[string]struct {
		fault   fakedynamodb.Fault
		applied int
		limit   time.Duration
		ok      bool
	}{
		"a delay":          {fakedynamodb.Delay(time.Second), 1, time.Minute, true},
		"a delay too long": {fakedynamodb.Delay(time.Hour), 0, time.Minute, false},
		"a slow reply":     {fakedynamodb.SlowReply(time.Second), 1, time.Minute, true},
		"a reply too slow": {fakedynamodb.SlowReply(time.Hour), 1, time.Minute, false},
		"a hang":           {fakedynamodb.Hang(), 0, time.Minute, false},
		"a hang after":     {fakedynamodb.HangAfter(), 1, time.Minute, false},
		"an error, later":  {fakedynamodb.Throttle().After(time.Second), 0, time.Minute, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := start(t)
				h.always(c.fault)
				begin := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), c.limit)
				defer cancel()
				_, err := h.client.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(tableName), Item: row("p", "s")})
				assert.Equal(t, c.ok, err == nil, "%v", err)
				assert.Len(t, h.server.Writes(), c.applied)
				if c.ok {
					assert.Equal(t, time.Second, time.Since(begin))
				}
			})
		})
	}
}

// The attempt that timed out lands after a newer one.
func TestLandLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t)
		h.server.Inject(func(c fakedynamodb.Call) fakedynamodb.Fault {
			if c.NOfTarget == 1 && c.Operation == "PutItem" {
				return fakedynamodb.LandLater()
			}
			return fakedynamodb.None()
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := h.client.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(tableName), Item: row("p", "s", attributes{"v": text("old")})})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		h.put(row("p", "s", attributes{"v": text("new")}))
		assert.Equal(t, 1, h.server.Land())
		assert.Equal(t, text("old"), h.get("p", "s")["v"])
		assert.Zero(t, h.server.Land())
	})
}

func TestStaleCall(t *testing.T) {
	h := start(t)
	h.put(row("p", "s"))
	h.always(fakedynamodb.Stale(1))
	assert.NotNil(t, h.get("p", "s"), "a consistent read does not notice")
	_, body, err := h.answer(fakedynamodb.Stale(1))
	require.NoError(t, err)
	assert.JSONEq(t, `{}`, string(body))
}
