package postgis_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"changde/postgis"
	"changde/problem"
)

func TestFault(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]string{
		"57014": "query-too-slow", "55P03": "datasets-busy", "40P01": "datasets-busy", "42P01": "release-replaced",
		"57P01": "database-away", "08006": "database-away", "53300": "database-away", "53100": "disk-full", "42703": "",
	} {
		err := postgis.Fault(t.Context(), fmt.Errorf("read: %w", &pgconn.PgError{Code: code}), "read rows")
		var p *problem.Error
		if errors.As(err, &p) != (want != "") || p != nil && (p.Code != want || p.Kind != problem.Busy) {
			t.Errorf("%s: %v, want %q", code, err, want)
		}
	}
	if err := postgis.Fault(t.Context(), io.ErrUnexpectedEOF, "read"); !problem.Is(err, problem.Busy) {
		t.Errorf("a lost connection: %v", err)
	}
	own := problem.New(problem.Invalid, "x", "", "甲", "a")
	if err := postgis.Fault(t.Context(), own, "read"); err != error(own) {
		t.Errorf("a problem became %v", err)
	}
	if err := postgis.Fault(t.Context(), nil, "read"); err != nil {
		t.Errorf("nothing became %v", err)
	}
	ended, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("gone")
	cancel(gone)
	if err := postgis.Fault(ended, errors.New("broken"), "read"); !errors.Is(err, gone) {
		t.Errorf("an ended context: %v", err)
	}
}
