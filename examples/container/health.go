package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"time"
)

// sickAfter is how long a shard may fail before the replica calls itself ill. A
// table that throttles for a while is no reason to start it anew.
const sickAfter = 5 * time.Minute

// health answers 200 as long as things go on, and 503 when something has been
// failing for long; with the state of each shard in both cases.
func (c *container) health(w http.ResponseWriter, _ *http.Request) {
	status := c.monitor.Status()
	w.Header().Set("Content-Type", "application/json")
	if status.FailingMillis > sickAfter.Milliseconds() {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(status) // who asked may have left
}

func (c *container) serveHealth(ctx context.Context, addr string) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", c.health)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	c.logger.Info("GET /healthz", "addr", listener.Addr().String())
	stop := context.AfterFunc(ctx, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = server.Shutdown(ctx)
	})
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
