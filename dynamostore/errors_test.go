package dynamostore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/driver"
)

// A server that is broken sends back what it was sent, and net/http quotes that.
func TestPromise20NothingOfWhatABrokenServerSendsIsInAnError(t *testing.T) {
	for name, sends := range map[string]string{
		"no HTTP":        "secret SECRET\r\n\r\n",
		"status":         "HTTP/1.1 secret\r\n\r\n",
		"header":         "HTTP/1.1 200 OK\r\nsecret SECRET\r\n\r\n",
		"content length": "HTTP/1.1 200 OK\r\nContent-Length: secret\r\n\r\n",
		"redirect":       "HTTP/1.1 302 Found\r\nLocation: http://secret.invalid:x/\r\nContent-Length: 0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer func() { _ = listener.Close() }()
			go func() {
				for {
					conn, err := listener.Accept()
					if err != nil {
						return
					}
					_, _ = conn.Read(make([]byte, 64<<10))
					_, _ = io.WriteString(conn, sends)
					_ = conn.Close()
				}
			}()
			for kind, opts := range map[string][]Option{"own": nil, "the client's": {KeepTransport()}} {
				client := clientOf("http://"+listener.Addr().String(), &http.Client{Transport: &http.Transport{DisableKeepAlives: true}})
				table := New(client, "events", append(opts, WithMaxAttempts(1))...)
				err = table.Put(t.Context(), items(1))
				require.Error(t, err, kind)
				leaksNothing(t, err)
			}
		})
	}
}

func TestPromise20TheNetworksErrorsSayWhatHappened(t *testing.T) {
	for want, failed := range map[string]error{
		"dial tcp: connection refused":  &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED},
		"no such host":                  &net.DNSError{Err: "no such host", Name: "dynamodb.invalid"},
		"connection reset":              fmt.Errorf("secret: %w", syscall.ECONNRESET),
		"the connection broke":          fmt.Errorf("secret: %w", io.ErrUnexpectedEOF),
		"HTTP where HTTPS was expected": http.ErrSchemeMismatch,
		"closed idle connection":        errors.New("http: server closed idle connection"),
		"*errors.errorString":           errors.New("secret"),
		"the proxy does not connect":    &net.OpError{Op: "proxyconnect", Net: "tcp", Err: errors.New("secret")},
	} {
		s := &stub{answer: func(call) (*http.Response, error) { return nil, failed }}
		err := s.table(WithMaxAttempts(1)).Put(t.Context(), items(1))
		require.ErrorContains(t, err, want)
		require.ErrorIs(t, err, failed, "the error itself is there for who asks")
		leaksNothing(t, err)
	}
}

func TestPromise20CredentialsThatCannotBeReadAreNotQuoted(t *testing.T) {
	opts := (&stub{answer: success}).client().Options()
	opts.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{}, errors.New(`parse failed of process output: {"SecretAccessKey":"SECRET"}, error: no`)
	})
	err := New(dynamodb.New(opts), "events").Put(t.Context(), items(1))
	require.ErrorContains(t, err, "credential_process")
	leaksNothing(t, err)
}

func TestAServersTextIsBounded(t *testing.T) {
	s := &stub{answer: func(call) (*http.Response, error) {
		return refusal("AccessDeniedException", "no\n"+strings.Repeat("é", 10_000)), nil
	}}
	err := s.table().Put(t.Context(), items(1))
	require.ErrorContains(t, err, "(no é")
	require.Less(t, len(err.Error()), 1000)
	require.NotContains(t, err.Error(), "\n")
}

func TestTheStatusOfWhatIsNoAnswerIsNamed(t *testing.T) {
	for name, body := range map[string]string{"a proxy's page": "<html>secret</html>", "nothing": ""} {
		s := &stub{answer: func(call) (*http.Response, error) { return answer(403, body), nil }}
		err := s.table(WithMaxAttempts(1)).Put(t.Context(), items(1))
		require.ErrorContains(t, err, "HTTP status 403", name)
		leaksNothing(t, err)
	}
}

func TestTheLastFailureIsNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stub{answer: func(c call) (*http.Response, error) {
			if c.n == 0 {
				return refusal("ThrottlingException", "secret"), nil
			}
			return transient["hangs"](c)
		}}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		err := s.table().Put(ctx, items(1))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "ThrottlingException")
		leaksNothing(t, err)
	})
}

func TestPromise10ANilContextIsAnError(t *testing.T) {
	s := &stub{answer: success}
	var none context.Context
	for name, operation := range operations {
		require.Error(t, operation(none, s.table()), name)
	}
	require.Error(t, Provision(none, s.client(), "events"))
	require.Error(t, Check(none, s.client(), "events"))
	require.Zero(t, s.count())
}

func TestProvisionSaysWhatIsWrong(t *testing.T) {
	for want, fail := range map[string]func(call) (*http.Response, error){
		"the name is too short": func(call) (*http.Response, error) {
			return refusal("ValidationException", "the name is too short"), nil
		},
		"connection refused": func(call) (*http.Response, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			err := Provision(t.Context(), (&stub{answer: fail}).client(), "events")
			require.ErrorContains(t, err, want)
			require.NotContains(t, err.Error(), "Check tells")
			require.Less(t, time.Since(began), time.Minute, "no server is no reason to wait for a table")
			require.NotErrorIs(t, err, driver.ErrInvalidItem)
		})
	}
}
