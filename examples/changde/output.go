package changde

import (
	"archive/zip"
	"bufio"
	"compress/flate"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/twpayne/go-geom"
	"golang.org/x/text/encoding/simplifiedchinese"

	"changde/ingest/crs"
	"changde/ingest/geojson"
	"changde/ingest/geopackage"
	"changde/ingest/layer"
	"changde/ingest/shapefile"
)

// Formats of a Delivery.
const (
	formatShapefile  = "shapefile"
	formatGeoPackage = "geopackage"
	formatGeoJSON    = "geojson"
)

// planeCode is the CRS in which the city is generated.
const planeCode = 4546

const (
	prjGeog = `GEOGCS["GCS_China_Geodetic_Coordinate_System_2000",DATUM["D_China_2000",SPHEROID["CGCS2000",6378137.0,298.257222101]],PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]]`
	prjGK   = `PROJCS["%s",` + prjGeog + `,PROJECTION["Gauss_Kruger"],PARAMETER["False_Easting",%d.0],PARAMETER["False_Northing",0.0],PARAMETER["Central_Meridian",111.0],PARAMETER["Scale_Factor",1.0],PARAMETER["Latitude_Of_Origin",0.0],UNIT["Meter",1.0]]`
	wkt4490 = `GEOGCS["China Geodetic Coordinate System 2000",DATUM["China_2000",SPHEROID["CGCS2000",6378137,298.257222101,AUTHORITY["EPSG","1024"]],AUTHORITY["EPSG","1043"]],PRIMEM["Greenwich",0,AUTHORITY["EPSG","8901"]],UNIT["degree",0.0174532925199433,AUTHORITY["EPSG","9122"]],AXIS["Latitude",NORTH],AXIS["Longitude",EAST],AUTHORITY["EPSG","4490"]]`
)

// table is the shape of one output layer.
type table struct {
	name   string // of the layer inside the file
	kind   shapefile.ShapeType
	gtype  string // GeoPackage geometry type
	fields []layer.Field
	nocpg  bool // a Shapefile that does not say its encoding
}

// output is one file being written. Coordinates come in the plane of EPSG:4546,
// or in degrees when degrees is set, and leave in the CRS of the delivery.
type output struct {
	d       *Delivery
	fields  []layer.Field
	write   func(geom.T, []any) error
	finish  func() error
	abandon func()
	degrees bool
	inv     crs.Projection // plane to degrees
	fwd     crs.Projection // degrees to the delivery
}

// create opens the file of a delivery.
func create(d *Delivery, t table) (*output, error) {
	o := &output{d: d, fields: t.fields}
	o.inv, _ = crs.ProjectionOf(planeCode)
	var ok bool
	if o.fwd, ok = crs.ProjectionOf(d.EPSG); !ok {
		return nil, fmt.Errorf("no projection for EPSG:%d", d.EPSG)
	}
	if err := os.Remove(d.File); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	switch d.Format {
	case formatShapefile:
		return o, o.openShapefile(t)
	case formatGeoPackage:
		w, err := geopackage.Create(d.File, geopackage.Table{Name: t.name, EPSG: d.EPSG, SRSName: "China Geodetic Coordinate System 2000", WKT: wkt4490, GeometryType: t.gtype, Fields: t.fields})
		if err != nil {
			return nil, err
		}
		o.write, o.finish = w.Write, w.Close
		o.abandon = func() { _ = w.Close() }
		return o, nil
	}
	f, err := os.Create(d.File)
	if err != nil {
		return nil, err
	}
	buf := bufio.NewWriterSize(f, 1<<18)
	w := geojson.NewWriter(buf, t.name, "")
	o.write = func(g geom.T, v []any) error { return w.Write(g, t.fields, v) }
	o.abandon = func() { _ = f.Close() }
	o.finish = func() error {
		if err := w.Close(); err != nil {
			_ = f.Close()
			return err
		}
		if err := buf.Flush(); err != nil {
			_ = f.Close()
			return err
		}
		return f.Close()
	}
	return o, nil
}

// openShapefile writes the parts into a folder beside the file; finish packs them.
func (o *output) openShapefile(t table) error {
	tmp, err := os.MkdirTemp(filepath.Dir(o.d.File), "."+t.name+"-")
	if err != nil {
		return err
	}
	prj := fmt.Sprintf(prjGK, "CGCS2000_3_Degree_GK_CM_111E", 500000)
	if o.d.EPSG == 4525 {
		prj = fmt.Sprintf(prjGK, "CGCS2000_3_Degree_GK_Zone_37", 37500000)
	}
	opt := shapefile.WriteOptions{Type: t.kind, Fields: t.fields, Encode: gbkEncoder(), PRJ: prj, CPG: "GBK", LDID: 0x4d}
	if t.nocpg {
		opt.CPG, opt.LDID = "", 0
	}
	w, err := shapefile.Create(filepath.Join(tmp, t.name+".shp"), opt)
	if err != nil {
		_ = os.RemoveAll(tmp)
		return err
	}
	o.write = w.Write
	o.abandon = func() {
		_ = w.Close()
		_ = os.RemoveAll(tmp)
	}
	o.finish = func() error {
		defer os.RemoveAll(tmp)
		if err := w.Close(); err != nil {
			return err
		}
		return pack(o.d.File, tmp)
	}
	return nil
}

// packed is the time of every zip entry: one fixed day, so that equal content gives
// equal bytes.
var packed = time.Date(2012, 9, 5, 0, 0, 0, 0, time.UTC)

// pack zips the files of a folder and removes each as soon as it is packed to save disk.
func pack(file, dir string) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	z := zip.NewWriter(f)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	list, err := os.ReadDir(dir) // sorted by name
	if err != nil {
		return err
	}
	for _, e := range list {
		path := filepath.Join(dir, e.Name())
		if err := packOne(z, e.Name(), path); err != nil {
			return err
		}
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	if err := z.Close(); err != nil {
		return err
	}
	return f.Close()
}

func packOne(z *zip.Writer, name, path string) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: packed})
	if err != nil {
		return err
	}
	_, err = io.Copy(w, in)
	return err
}

// gbkEncoder encodes text and remembers what it met: attribute values repeat.
func gbkEncoder() func(string) ([]byte, error) {
	known := map[string][]byte{}
	enc := simplifiedchinese.GBK.NewEncoder()
	return func(s string) ([]byte, error) {
		ascii := true
		for i := range len(s) {
			ascii = ascii && s[i] < 0x80
		}
		if ascii {
			return []byte(s), nil
		}
		if b, ok := known[s]; ok {
			return b, nil
		}
		b, err := enc.Bytes([]byte(s))
		if err != nil {
			return nil, fmt.Errorf("%q is not in GBK: %w", s, err)
		}
		if len(known) > 1<<14 {
			clear(known)
		}
		known[strings.Clone(s)] = b
		return b, nil
	}
}

// add writes one feature; the coordinates of g are changed in place.
func (o *output) add(g geom.T, values []any) error {
	flat := g.FlatCoords()
	if !o.degrees {
		o.inv.Inverse(flat, 2)
	}
	grid := 1e9 // 0.1 mm
	if o.d.EPSG != 4490 && o.d.EPSG != 4326 {
		o.fwd.Forward(flat, 2)
		grid = 1e4
	}
	for i, v := range flat {
		flat[i] = math.Round(v*grid) / grid
	}
	o.d.Features++
	return o.write(g, values)
}

// addPlane writes a feature whose coordinates are in EPSG:4546 into a delivery in
// a plane CRS of the same meridian, without the way over degrees.
func (o *output) addPlane(g geom.T, values []any) error {
	flat := g.FlatCoords()
	shift := 0.0
	if o.d.EPSG == 4525 {
		shift = 37e6
	}
	for i := 0; i < len(flat); i += 2 {
		flat[i] = math.Round(flat[i]*1e4)/1e4 + shift
		flat[i+1] = math.Round(flat[i+1]*1e4) / 1e4
	}
	o.d.Features++
	return o.write(g, values)
}

func text(name string, width int) layer.Field {
	return layer.Field{Name: name, Type: layer.Text, Width: width}
}

func whole(name string, width int) layer.Field {
	return layer.Field{Name: name, Type: layer.Integer, Width: width}
}

func decimal(name string, width, decimals int) layer.Field {
	return layer.Field{Name: name, Type: layer.Real, Width: width, Decimals: decimals}
}
