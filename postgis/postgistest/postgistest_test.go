package postgistest_test

import (
	"fmt"
	"testing"

	"changde/postgis/postgistest"
)

func TestMain(m *testing.M) { postgistest.Main(m) }

func TestEachTestHasItsOwnDatabase(t *testing.T) {
	t.Parallel()
	for i := range 4 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			pool := postgistest.New(t)
			if _, err := pool.Exec(t.Context(), `INSERT INTO changde.organisations (id, name_zh) VALUES ('land', '国土局')`); err != nil {
				t.Fatal(err)
			}
			var n int
			var name, version string
			err := pool.QueryRow(t.Context(), `SELECT count(*), current_database(), postgis_lib_version() FROM changde.organisations`).Scan(&n, &name, &version)
			if err != nil {
				t.Fatal(err)
			}
			if n != 1 || version == "" {
				t.Errorf("%s has %d organisations and PostGIS %q, want 1 and a version", name, n, version)
			}
			if got := pool.Config().MaxConns; got != 4 {
				t.Errorf("the pool has %d connections, want 4", got)
			}
		})
	}
}

func BenchmarkNew(b *testing.B) {
	postgistest.New(b)
	for b.Loop() {
		postgistest.New(b)
	}
}
