package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/boltstore"
	"github.com/microeventstore/microeventstore/internal/iampolicy"
	"github.com/microeventstore/microeventstore/runner"
)

func TestIntegrationTheDemo(t *testing.T) {
	streams, tables := os.Getenv("MES_KINESIS_ENDPOINT"), os.Getenv("MES_DYNAMODB_ENDPOINT")
	for name, endpoint := range map[string]string{"MES_KINESIS_ENDPOINT": streams, "MES_DYNAMODB_ENDPOINT": tables} {
		if endpoint == "" {
			t.Skip(name + " is not set to the address of a server: make integration does that")
		}
	}
	var called iampolicy.Watch
	for _, endpoint := range []*string{&streams, &tables} {
		watched, stop, err := iampolicy.Proxy(*endpoint, &called)
		require.NoError(t, err)
		defer stop()
		*endpoint = watched
	}
	name := fmt.Sprintf("mes-test-%d", time.Now().UnixNano())
	env := map[string]string{
		"STREAM": name, "TABLE": name, "LEASES": name + "-leases", "ADDR": "127.0.0.1:0",
		"AWS_ENDPOINT_URL_KINESIS": streams, "AWS_ENDPOINT_URL_DYNAMODB": tables,
		"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
	}
	for key, value := range env {
		t.Setenv(key, value)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out bytes.Buffer
	require.NoError(t, run(ctx, []string{"-demo"}, os.Getenv, &out, io.Discard))
	require.NoError(t, ctx.Err(), "it ended by itself")
	require.Contains(t, out.String(), "order-42 is complete: 3 events\n", "once or more often")

	allowed, err := iampolicy.ReadAll("../../dynamostore/doc.go", "../../runner/doc.go")
	require.NoError(t, err)
	itself := []string{"kinesis:CreateStream", "kinesis:DescribeStream", "kinesis:PutRecord"} // for the demonstration
	require.NoError(t, iampolicy.Compare(iampolicy.Union(allowed, itself), called.Called(), false))
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	none := func(string) string { return "" }
	require.ErrorContains(t, run(t.Context(), nil, none, io.Discard, io.Discard), "set STREAM")
	require.Error(t, run(t.Context(), []string{"-no-such-flag"}, none, io.Discard, io.Discard))
	require.ErrorContains(t, run(t.Context(), []string{"demo"}, none, io.Discard, io.Discard), "no flag")
	require.NoError(t, run(t.Context(), []string{"-h"}, none, io.Discard, io.Discard))
}

// sick is a stream that fails.
type sick struct{}

func (sick) Shards(context.Context) ([]mes.Shard, error) { return nil, errors.New("no access") }

func (sick) ReadRecords(context.Context, string, mes.Position, int) ([]mes.Record, bool, error) {
	return nil, false, errors.New("no access")
}

func TestAReplicaThatHasBeenFailingForLongIsIll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table, err := boltstore.Open(filepath.Join(t.TempDir(), "events.db"))
		require.NoError(t, err)
		defer table.Close()
		store, err := mes.New(table)
		require.NoError(t, err)
		c := new(container)
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan error, 1)
		go func() {
			over <- runner.Listen(ctx, sick{}, mes.NewListener(store, nil), runner.WithMonitor(&c.monitor))
		}()
		healthz := func() *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			c.health(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/healthz", nil))
			return w
		}
		time.Sleep(sickAfter - time.Second)
		require.Equal(t, http.StatusOK, healthz().Code, "it may recover")
		time.Sleep(2 * time.Second)
		require.Equal(t, http.StatusServiceUnavailable, healthz().Code)
		require.Contains(t, healthz().Body.String(), "no access")
		cancel()
		require.NoError(t, <-over)
	})
}

func TestHealth(t *testing.T) {
	w := httptest.NewRecorder()
	new(container).health(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/healthz", nil))
	require.Equal(t, http.StatusOK, w.Code)
	require.True(t, strings.HasPrefix(w.Body.String(), `{"shards":`), w.Body)
}
