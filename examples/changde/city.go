package changde

import (
	_ "embed"

	"changde/catalog"
)

//go:embed city.json
var cityJSON []byte

// City is the configuration of Changde, and the form of any other city's.
func City() (catalog.City, error) { return catalog.ParseCity(cityJSON) }
