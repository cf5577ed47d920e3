package catalog

import (
	"bytes"
	"encoding/json"
	"fmt"

	"changde/problem"
)

// City is what makes the platform one city's: another city runs the same binary
// with another City.
type City struct {
	NameZH string `json:"nameZh"`
	NameEN string `json:"nameEn"`
	// Code is the division code of GB/T 2260, six digits.
	Code string `json:"code"`
	// Box is where the city's coordinates lie: west, south, east, north in degrees,
	// EPSG:4490. A delivery's rows outside it are refused unless the dataset
	// declares a wider box.
	Box Bounds `json:"box"`
	// View is what a map shows first, in the form of Box.
	View Bounds `json:"view"`
	// CRS lists the EPSG codes that coordinates without a declared system are tried
	// as, the likeliest first.
	CRS []int `json:"crs"`
	// Divisions names the county-level divisions by code.
	Divisions map[string]string `json:"divisions"`
}

// ParseCity reads a city's configuration from JSON.
func ParseCity(data []byte) (City, error) {
	var c City
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return City{}, problem.Wrap(err, problem.Invalid, "city-unreadable", "city",
			fmt.Sprintf("城市配置不是有效的 JSON：%v", err), fmt.Sprintf("the city's configuration is not valid JSON: %v", err))
	}
	if c.NameZH == "" || !c.Box.Valid() || !c.View.Valid() || len(c.CRS) == 0 {
		return City{}, problem.New(problem.Invalid, "city-incomplete", "city",
			"城市配置缺少 nameZh、box、view 或 crs，或范围不是 [西, 南, 东, 北] 度",
			"the city's configuration lacks nameZh, box, view or crs, or a box is not [west, south, east, north] in degrees")
	}
	return c, nil
}

// Valid reports whether b is a box on the globe with west before east and south
// before north.
func (b Bounds) Valid() bool {
	return b[0] >= -180 && b[2] <= 180 && b[0] < b[2] && b[1] >= -90 && b[3] <= 90 && b[1] < b[3]
}

// Contains reports whether the point lies in b, its edge included.
func (b Bounds) Contains(lon, lat float64) bool {
	return lon >= b[0] && lon <= b[2] && lat >= b[1] && lat <= b[3]
}

// Union is the smallest box that holds both; nil is an empty box.
func Union(a, b *Bounds) *Bounds {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return &Bounds{min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])}
}
