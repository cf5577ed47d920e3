package main

import (
	"fmt"
	"net/url"
	"testing"

	"changde/postgis"
	"changde/postgis/postgistest"
)

// A login that is only a member of the server's role gains nothing by RESET ROLE; the
// owner's does, and is told apart.
func TestServerLogin(t *testing.T) {
	t.Parallel()
	owner := postgistest.New(t)
	config := owner.Config().ConnConfig
	login := "server_" + config.Database
	if _, err := owner.Exec(t.Context(), fmt.Sprintf(`CREATE ROLE %q LOGIN PASSWORD 'p' IN ROLE changde_api`, login)); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if _, err := owner.Exec(t.Context(), fmt.Sprintf(`DROP ROLE %q`, login)); err != nil {
			t.Error(err)
		}
	}()
	for _, c := range []struct {
		user, password string
		owns           bool
	}{{config.User, config.Password, true}, {login, "p", false}} {
		at := url.URL{Scheme: "postgres", User: url.UserPassword(c.user, c.password), Path: "/" + config.Database, RawQuery: url.Values{"host": {config.Host}, "port": {fmt.Sprint(config.Port)}}.Encode()}
		pool, err := postgis.Open(t.Context(), postgis.Config{URL: at.String(), Role: "changde_api", MaxConns: 1})
		if err != nil {
			t.Fatal(err)
		}
		owns, err := loginOwns(t.Context(), pool)
		if err != nil || owns != c.owns {
			t.Errorf("%s owns the data: %v, %v", c.user, owns, err)
		}
		_, err = pool.Exec(t.Context(), `RESET ROLE; UPDATE changde.datasets SET release = 0`)
		if (err == nil) != c.owns {
			t.Errorf("%s after RESET ROLE: %v", c.user, err)
		}
		pool.Close()
	}
}
