package sprite

import (
	"bytes"
	"encoding/json"
	"image"
	"image/png"
	"strings"
	"testing"
	"testing/fstest"

	"changde/schemas/styles"
)

func drawn(t *testing.T) *Sheet {
	t.Helper()
	s, err := Draw(styles.FS)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestEveryIconIsDrawn looks at each icon on both sheets: it has its size, lies apart
// from all others, and stays within its place.
func TestEveryIconIsDrawn(t *testing.T) {
	t.Parallel()
	s := drawn(t)
	if len(s.Icons()) < 20 {
		t.Errorf("there are %d icons", len(s.Icons()))
	}
	for mark, ratio := range map[string]int{"": 1, "@2x": 2} {
		index, _, _ := s.File(s.Name()+mark, MediaJSON)
		var entries map[string]entry
		if err := json.Unmarshal(index, &entries); err != nil {
			t.Fatal(err)
		}
		content, _, _ := s.File(s.Name()+mark, MediaPNG)
		picture, err := png.Decode(bytes.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) != len(s.Icons()) {
			t.Errorf("%q: %d icons in the index of %d", mark, len(entries), len(s.Icons()))
		}
		var places []image.Rectangle
		for _, icon := range s.Icons() {
			e := entries[icon]
			if e.Width != Side*ratio || e.Height != Side*ratio || e.PixelRatio != ratio {
				t.Errorf("%s%s: %+v", icon, mark, e)
			}
			place := image.Rect(e.X, e.Y, e.X+e.Width, e.Y+e.Height)
			if !place.In(picture.Bounds()) {
				t.Errorf("%s%s lies at %v of %v", icon, mark, place, picture.Bounds())
			}
			for _, other := range places {
				if place.Overlaps(other) {
					t.Errorf("%s%s overlaps another", icon, mark)
				}
			}
			places = append(places, place)
			if n := inked(picture, place); n < Side*ratio*ratio || n > place.Dx()*place.Dy()*3/4 {
				t.Errorf("%s%s has %d points", icon, mark, n)
			}
			// What touches the edge was cut.
			if n := inked(picture, place) - inked(picture, place.Inset(ratio)); n > 0 {
				t.Errorf("%s%s has %d points on its edge", icon, mark, n)
			}
		}
	}
}

func inked(picture image.Image, place image.Rectangle) int {
	n := 0
	for y := place.Min.Y; y < place.Max.Y; y++ {
		for x := place.Min.X; x < place.Max.X; x++ {
			if _, _, _, a := picture.At(x, y).RGBA(); a > 0 {
				n++
			}
		}
	}
	return n
}

func TestFilesAreKnownByBothNames(t *testing.T) {
	t.Parallel()
	s := drawn(t)
	for file, want := range map[string]struct{ lasting, ok bool }{
		s.Name(): {true, true}, s.Name() + "@2x": {true, true}, "default": {false, true}, "default@2x": {false, true},
		"default@3x": {}, "default-0000000000000000": {}, "": {}, "other": {}, s.Name() + "x": {lasting: true},
	} {
		for _, media := range []string{MediaJSON, MediaPNG} {
			content, lasting, ok := s.File(file, media)
			if ok != want.ok || lasting != want.lasting || ok != (len(content) > 0) {
				t.Errorf("%s as %s: %d bytes, lasting %t, there %t", file, media, len(content), lasting, ok)
			}
		}
	}
	if again := drawn(t); again.Name() != s.Name() {
		t.Errorf("the same icons are called %s and %s", s.Name(), again.Name())
	}
	const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 18 18"><circle cx="9" cy="9" r="4" fill="#ff0000"/></svg>`
	other, err := Draw(fstest.MapFS{"icons/dot.svg": {Data: []byte(svg)}})
	if err != nil || other.Name() == s.Name() {
		t.Errorf("other icons are called %s too (%v)", s.Name(), err)
	}
}

func TestFaultyIconsAreRefused(t *testing.T) {
	t.Parallel()
	for want, svg := range map[string]string{
		"view box":         `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><circle cx="9" cy="9" r="4"/></svg>`,
		"nothing is drawn": `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 18 18"></svg>`,
		"text":             `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 18 18"><text>x</text></svg>`,
		"icons/x.svg":      `<svg`,
	} {
		_, err := Draw(fstest.MapFS{"icons/x.svg": {Data: []byte(svg)}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", svg, err, want)
		}
	}
}
