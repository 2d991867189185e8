// SPDX-License-Identifier: MIT

// What examples/service --bench answers, with net/http: a KiB from memory, and a handler that uses
// a CPU for a while behind a bounded pool: as many at once as there are CPUs, so many waiting, and
// 503 at once for a client that finds no place.
package main

import (
	"bytes"
	"fmt"
	"log"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"time"
)

const capacity = 256

var (
	lock      sync.RWMutex
	documents = map[string][]byte{"memory": bytes.Repeat([]byte("x"), 1024)}
	places    = make(chan struct{}, capacity+runtime.GOMAXPROCS(0))
	running   = make(chan struct{}, runtime.GOMAXPROCS(0))
)

// Each step needs the result of the one before, so that it takes the same time wherever it runs.
func takeSteps(n int64, x uint64) uint64 {
	for ; n > 0; n-- {
		x = x*6364136223846793005 + 1442695040888963407
	}
	return x
}

func memory(w http.ResponseWriter, _ *http.Request) {
	lock.RLock()
	page := documents["memory"]
	lock.RUnlock()
	w.Header().Set("Content-Type", "text/plain")
	_, _ = w.Write(page)
}

func cpu(w http.ResponseWriter, r *http.Request) {
	steps, err := strconv.ParseInt(r.URL.Query().Get("steps"), 10, 64)
	if err != nil || steps < 0 || steps > 1000000000 {
		http.Error(w, "steps is a number", http.StatusBadRequest)
		return
	}
	select {
	case places <- struct{}{}:
		defer func() { <-places }()
	default:
		w.Header().Set("Retry-After", "1")
		http.Error(w, "the queue is full", http.StatusServiceUnavailable)
		return
	}
	select {
	case running <- struct{}{}:
		defer func() { <-running }()
	case <-r.Context().Done():
		return
	}
	runtime.KeepAlive(takeSteps(steps, uint64(steps)))
	_, _ = fmt.Fprintf(w, "{\"steps\":%d}\n", steps)
}

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("/bench/memory", memory)
	mux.HandleFunc("/bench/cpu", cpu)
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       60 * time.Second,
		WriteTimeout:      90 * time.Second,
		IdleTimeout:       120 * time.Second,
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("http port", listener.Addr().(*net.TCPAddr).Port)
	log.Fatal(server.Serve(listener))
}
