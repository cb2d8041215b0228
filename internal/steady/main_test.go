package steady

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/microeventstore/microeventstore/internal/fakedynamodb"
)

// serverPart makes a process of this test binary the DynamoDB that the other one
// works with: what a server keeps is not to be taken for what the library keeps.
const serverPart = "STEADY_TEST_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(serverPart) != "" {
		if err := serve(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// serve answers calls until its input ends. One of 50 goes wrong. A call of /expire
// is not DynamoDB's: it does what the service does with time.
func serve() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := fakedynamodb.New(fakedynamodb.WithShards(2))
	server.Inject(func(call fakedynamodb.Call) fakedynamodb.Fault {
		switch call.N % 250 {
		case 50, 100:
			return fakedynamodb.Throttle()
		case 150:
			return fakedynamodb.CutBody(10)
		case 200:
			return fakedynamodb.ResetAfter()
		case 249:
			return fakedynamodb.InternalError()
		}
		return fakedynamodb.None()
	})
	web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/expire" {
			server.ForgetWrites()
			server.ExpireNow(tableName, time.Now())
			switch r.URL.RawQuery {
			case "roll":
				server.RollShards(tableName)
			case "trim":
				server.TrimStream(tableName)
			}
			return
		}
		answer, err := server.RoundTrip(r)
		if err != nil { // the connection breaks
			panic(http.ErrAbortHandler)
		}
		defer answer.Body.Close()
		for name, values := range answer.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.StatusCode)
		if _, err := io.Copy(w, answer.Body); err != nil {
			panic(http.ErrAbortHandler)
		}
	})}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = web.Shutdown(context.Background())
	}()
	fmt.Println(listener.Addr())
	if err := web.Serve(listener); err != http.ErrServerClosed {
		return err
	}
	return nil
}

// startServer starts the other process and returns its address.
func startServer(t *testing.T) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serverPart+"=1")
	cmd.Stderr = os.Stderr
	input, err := cmd.StdinPipe()
	require.NoError(t, err)
	output, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = input.Close()
		require.NoError(t, cmd.Wait())
	})
	line, err := bufio.NewReader(output).ReadString('\n')
	require.NoError(t, err)
	return "http://" + line[:len(line)-1]
}

// A wire counts the connections that are open.
type wire struct {
	*http.Transport
	open atomic.Int64
}

func newWire(t *testing.T) *wire {
	w := &wire{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	w.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		w.open.Add(1)
		return &counted{Conn: conn, open: &w.open}, nil
	}
	t.Cleanup(w.CloseIdleConnections)
	return w
}

type counted struct {
	net.Conn
	open   *atomic.Int64
	closed atomic.Bool
}

// Close implements net.Conn.
func (c *counted) Close() error {
	if !c.closed.Swap(true) {
		c.open.Add(-1)
	}
	return c.Conn.Close()
}
