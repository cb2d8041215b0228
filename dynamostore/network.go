package dynamostore

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// network tells whether an error is the network's, and says what happened.
func network(err error) (string, bool) {
	var send *smithyhttp.RequestSendError
	var failed *url.Error
	var netError net.Error
	switch {
	case errors.As(err, &failed):
		return networkText(failed.Err), true
	case errors.As(err, &netError):
		return networkText(netError), true
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return networkText(io.EOF), true
	case errors.As(err, &send):
		return networkText(send.Err), true
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return "the HTTP client gave up", true
	}
	return "", false
}

// isPlainText tells those of net/http's errors that quote nothing and have no type
// by which they could be told.
func isPlainText(text string) bool {
	switch text {
	case "http: server closed idle connection",
		"http2: client connection lost",
		"http2: no cached connection was available",
		"net/http: cannot rewind body after connection loss",
		"stopped after 10 redirects":
		return true
	}
	return strings.HasPrefix(text, "unsupported protocol scheme")
}

// networkText is the text of an error of the HTTP client, where it is known to hold
// nothing but names of hosts. net/http quotes what a broken server sends, and that
// may be what it was sent.
func networkText(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		if op.Op == "proxyconnect" { // quotes the proxy
			return "the proxy does not connect: " + networkText(op.Err)
		}
		return "the network failed: " + op.Error()
	}
	for _, text := range [...]string{
		textOf[*net.DNSError](err), textOf[syscall.Errno](err),
		textOf[*tls.CertificateVerificationError](err), textOf[tls.RecordHeaderError](err), textOf[tls.AlertError](err),
		textOf[x509.UnknownAuthorityError](err), textOf[x509.HostnameError](err), textOf[x509.CertificateInvalidError](err),
	} {
		if text != "" {
			return "the network failed: " + bounded(text)
		}
	}
	var netError net.Error
	text := err.Error()
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return "the connection broke"
	case errors.Is(err, http.ErrSchemeMismatch):
		return "the network failed: the server speaks HTTP where HTTPS was expected"
	case errors.As(err, &netError) && netError.Timeout():
		return "the network failed: it took longer than the HTTP client allows"
	case isPlainText(text):
		return "the network failed: " + bounded(text)
	case strings.Contains(text, "malformed"):
		return "the network failed: what answers does not speak HTTP"
	}
	return fmt.Sprintf("the HTTP client returned a %T, the text of which is left out", err)
}

// textOf is the text of the error of a type that an error wraps, if it does.
func textOf[T error](err error) string {
	var e T
	if !errors.As(err, &e) {
		return ""
	}
	return e.Error()
}

// bounded is a text that fits into a line of a log.
func bounded(text string) string {
	const most = 500
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}
