// Package sprite draws icons, which are SVG, onto the sheets that maps take them from:
// a picture and an index of it (sprites of the MapLibre style specification).
package sprite

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/srwiley/oksvg"
	"github.com/srwiley/rasterx"
)

// Side is the width and the height of an icon, in pixels of a map and in units of its
// SVG.
const Side = 18

// The media types of a sheet's files.
const (
	MediaJSON = "application/json"
	MediaPNG  = "image/png"
)

const (
	columns = 8
	gap     = 2 // between icons, in pixels of a map, so that none runs into the next when it is drawn between pixels
	name    = "default"
)

// Sheet is all icons, once for screens of one pixel to a pixel of the map and once for
// those of two ("@2x"). It never changes and may be used by many goroutines.
type Sheet struct {
	icons  []string
	digest string
	files  map[string][]byte // by what follows the name: "@2x.png"
}

// entry is where an icon is on the picture, in its pixels.
type entry struct {
	X          int `json:"x"`
	Y          int `json:"y"`
	Width      int `json:"width"`
	Height     int `json:"height"`
	PixelRatio int `json:"pixelRatio"`
}

// Draw draws the files icons/*.svg. An icon is called as its file, without ".svg". It
// is an error if one is not SVG of Side by Side units as this package understands it:
// paths, circles, fills, strokes.
func Draw(from fs.FS) (*Sheet, error) {
	files, err := fs.Glob(from, "icons/*.svg")
	if err != nil {
		return nil, err
	}
	s := &Sheet{files: map[string][]byte{}}
	for _, file := range files {
		s.icons = append(s.icons, strings.TrimSuffix(path.Base(file), ".svg"))
	}
	sum := sha256.New()
	for ratio, mark := range []string{1: "", 2: "@2x"} {
		if ratio == 0 {
			continue
		}
		index, picture, err := draw(from, files, ratio)
		if err != nil {
			return nil, err
		}
		s.files[mark+".json"], s.files[mark+".png"] = index, picture
		sum.Write(index)
		sum.Write(picture)
	}
	s.digest = hex.EncodeToString(sum.Sum(nil)[:8])
	return s, nil
}

func draw(from fs.FS, files []string, ratio int) (index, picture []byte, err error) {
	step := (Side + gap) * ratio
	rows := (len(files) + columns - 1) / columns
	sheet := image.NewRGBA(image.Rect(0, 0, columns*step, max(rows, 1)*step))
	entries := make(map[string]entry, len(files))
	for i, file := range files {
		raw, err := fs.ReadFile(from, file)
		if err != nil {
			return nil, nil, err
		}
		e := entry{X: i % columns * step, Y: i / columns * step, Width: Side * ratio, Height: Side * ratio, PixelRatio: ratio}
		if err := put(sheet, raw, e); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", file, err)
		}
		entries[strings.TrimSuffix(path.Base(file), ".svg")] = e
	}
	if index, err = json.Marshal(entries); err != nil {
		return nil, nil, err
	}
	var b bytes.Buffer
	if err := png.Encode(&b, sheet); err != nil {
		return nil, nil, err
	}
	return index, b.Bytes(), nil
}

// put draws one icon in its place on the sheet.
func put(sheet *image.RGBA, svg []byte, at entry) error {
	icon, err := oksvg.ReadIconStream(bytes.NewReader(svg), oksvg.StrictErrorMode)
	if err != nil {
		return err
	}
	if b := icon.ViewBox; b.X != 0 || b.Y != 0 || b.W != Side || b.H != Side {
		return fmt.Errorf("the view box is %v, not of %d by %d", b, Side, Side)
	}
	cell := image.NewRGBA(image.Rect(0, 0, at.Width, at.Height))
	icon.SetTarget(0, 0, float64(at.Width), float64(at.Height))
	icon.Draw(rasterx.NewDasher(at.Width, at.Height, rasterx.NewScannerGV(at.Width, at.Height, cell, cell.Bounds())), 1)
	if !slices.ContainsFunc(cell.Pix, func(b uint8) bool { return b != 0 }) {
		return fmt.Errorf("nothing is drawn")
	}
	for y := range at.Height {
		copy(sheet.Pix[sheet.PixOffset(at.X, at.Y+y):], cell.Pix[y*cell.Stride:(y+1)*cell.Stride])
	}
	return nil
}

// Icons are the names of the icons, in order.
func (s *Sheet) Icons() []string { return s.icons }

// Name is what the addresses of the files begin with. It is another one when an icon
// is.
func (s *Sheet) Name() string { return name + "-" + s.digest }

// File is the file of the name with "@2x" or without, in a media type: of the sheet's
// Name, whose files never change, or of "default", whose files are those of whatever
// sheet there is. ok is false where there is no such file.
func (s *Sheet) File(file, media string) (content []byte, lasting, ok bool) {
	mark, lasting := strings.CutPrefix(file, s.Name())
	if !lasting {
		if mark, ok = strings.CutPrefix(file, name); !ok {
			return nil, false, false
		}
	}
	ending := ".json"
	if media == MediaPNG {
		ending = ".png"
	}
	content, ok = s.files[mark+ending]
	return content, lasting, ok
}
