package ingest_test

import (
	"os"
	"testing"

	"changde/ingest/gdal"
	"changde/postgis/postgistest"
)

func TestMain(m *testing.M) {
	gdal.RunChild()
	if url := os.Getenv(childURL); url != "" {
		childMain(url)
		return
	}
	postgistest.Main(m)
}
