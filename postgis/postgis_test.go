package postgis_test

import (
	"os"
	"testing"

	"changde/postgis/postgistest"
)

// starterEnv names the folder for which the test binary plays the owner of a
// cluster, until it is killed.
const starterEnv = "CHANGDE_TEST_STARTER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(starterEnv); dir != "" {
		runStarter(dir)
	}
	postgistest.Main(m)
}
