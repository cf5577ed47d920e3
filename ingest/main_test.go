package ingest_test

import (
	"os"
	"testing"

	"changde/postgis/postgistest"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(childURL); url != "" {
		childMain(url)
		return
	}
	postgistest.Main(m)
}
