package iampolicy

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
)

// Proxy is another address for a server, for programs that make their clients
// themselves: what is called there is noted. stop ends it.
func Proxy(endpoint string, watches ...*Watch) (address string, stop func(), err error) {
	to, err := url.Parse(endpoint)
	if err != nil {
		return "", nil, err
	}
	// What the server compresses has a checksum.
	transport := &http.Transport{MaxIdleConnsPerHost: 32, DisableCompression: true}
	server := httptest.NewServer(&httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) {
		for _, watch := range watches {
			watch.Note(r.In)
		}
		r.SetURL(to)
	}})
	return server.URL, func() {
		server.Close()
		transport.CloseIdleConnections()
	}, nil
}
