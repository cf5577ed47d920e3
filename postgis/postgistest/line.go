package postgistest

import (
	"bytes"
	"context"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Line is a connection line to a test database that can be cut. Its methods are
// safe for concurrent use.
type Line struct {
	// URL is the database at the end of the line.
	URL string

	mu     sync.Mutex
	marks  []string
	answer bool
	cut    int
}

// NewLine lays a line to the database of url; it ends with the test.
func NewLine(t testing.TB, link string) *Line {
	t.Helper()
	config, err := pgx.ParseConfig(link)
	if err != nil {
		t.Fatal(err)
	}
	network, address := "tcp", net.JoinHostPort(config.Host, "5432")
	if strings.HasPrefix(config.Host, "/") {
		network, address = "unix", config.Host+"/.s.PGSQL.5432"
	} else if u, err := url.Parse(link); err == nil && u.Port() != "" {
		address = u.Host
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	u := url.URL{Scheme: "postgres", Host: listener.Addr().String(), Path: "/" + config.Database, User: url.UserPassword(config.User, config.Password), RawQuery: "sslmode=disable"}
	l := &Line{URL: u.String()}
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			go l.serve(t.Context(), near, network, address)
		}
	}()
	return l
}

// CutAt cuts the line once, when a connection has sent all of the marks, one after
// the other: before the last reaches the server, or, with answer, when the server
// has answered it and the answer is on its way.
func (l *Line) CutAt(answer bool, marks ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.marks, l.answer = marks, answer
}

// Cuts is how often the line was cut.
func (l *Line) Cuts() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cut
}

// Commit is the mark of a transaction's end.
const Commit = "commit\x00"

// serve carries one connection.
func (l *Line) serve(ctx context.Context, near net.Conn, network, address string) {
	defer near.Close()
	far, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return
	}
	defer far.Close()
	var deaf sync.Mutex // held once what comes back is thrown away
	go func() {
		defer near.Close()
		buffer := make([]byte, 64<<10)
		for {
			n, err := far.Read(buffer)
			if err != nil {
				return
			}
			if !deaf.TryLock() {
				return // the answer is here, and is lost
			}
			_, err = near.Write(buffer[:n])
			deaf.Unlock()
			if err != nil {
				return
			}
		}
	}()
	seen := 0
	buffer := make([]byte, 64<<10)
	for {
		n, err := near.Read(buffer)
		if err != nil {
			return
		}
		switch l.look(buffer[:n], &seen) {
		case cutNow:
			return
		case cutAfter:
			deaf.Lock()
		}
		if _, err := far.Write(buffer[:n]); err != nil {
			return
		}
	}
}

type verdict int

const (
	pass verdict = iota
	cutNow
	cutAfter
)

// look counts the marks of a connection, and takes them down with the last.
func (l *Line) look(sent []byte, seen *int) verdict {
	l.mu.Lock()
	defer l.mu.Unlock()
	for *seen < len(l.marks) {
		at := bytes.Index(sent, []byte(l.marks[*seen]))
		if at < 0 {
			return pass
		}
		sent = sent[at+len(l.marks[*seen]):]
		*seen++
	}
	if len(l.marks) == 0 {
		return pass
	}
	l.marks = nil
	l.cut++
	if l.answer {
		return cutAfter
	}
	return cutNow
}
