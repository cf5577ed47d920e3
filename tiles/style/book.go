package style

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"changde/catalog"
	"changde/schemas/styles"
	"changde/tiles/sprite"
)

// theme says which datasets are drawn in a manner, by which palette or colour.
type theme struct {
	Manner   string   `json:"manner"`
	Palette  string   `json:"palette"`
	Color    string   `json:"color"`
	Icon     string   `json:"icon"` // of all points, where there is no palette
	Profiles []string `json:"profiles"`
	Datasets []string `json:"datasets"`
	Fields   []string `json:"fields"` // names of class columns

	palette *palette
}

// Book is what there is to know about the drawing of datasets. It never changes
// and may be used by many goroutines.
type Book struct {
	themes []theme
	any    *palette
	sprite *sprite.Sheet
}

// Sprite is the sheet that the styles take icons from.
func (b *Book) Sprite() *sprite.Sheet { return b.sprite }

// Builtin is the book of schemas/styles.
func Builtin() (*Book, error) {
	b, err := load(styles.FS)
	if err != nil {
		return nil, fmt.Errorf("built-in styles: %w", err)
	}
	return b, nil
}

func load(from fs.FS) (*Book, error) {
	palettes, err := loadPalettes(from)
	if err != nil {
		return nil, err
	}
	raw, err := fs.ReadFile(from, "themes.json")
	if err != nil {
		return nil, err
	}
	b := &Book{any: palettes["any"]}
	if err := strict(raw, &b.themes); err != nil {
		return nil, fmt.Errorf("themes.json: %w", err)
	}
	if b.any == nil || len(b.any.Hues) == 0 {
		return nil, fmt.Errorf("there is no palette any with hues")
	}
	seen := map[string]bool{}
	for i := range b.themes {
		t := &b.themes[i]
		if manners[t.Manner] == nil {
			return nil, fmt.Errorf("themes.json: there is no manner %q", t.Manner)
		}
		if (t.Palette == "") == (t.Color == "") {
			return nil, fmt.Errorf("themes.json: theme %d needs a palette or a colour", i)
		}
		if t.palette, err = paletteOf(palettes, t); err != nil {
			return nil, fmt.Errorf("themes.json: theme %d: %w", i, err)
		}
		for kind, names := range map[string][]string{"profile": t.Profiles, "dataset": t.Datasets, "field": t.Fields} {
			for _, name := range names {
				if seen[kind+name] {
					return nil, fmt.Errorf("themes.json: %s %s is in two themes", kind, name)
				}
				seen[kind+name] = true
			}
		}
	}
	if b.sprite, err = sprite.Draw(from); err != nil {
		return nil, err
	}
	return b, checkIcons(b.sprite.Icons(), b.themes, palettes)
}

// checkIcons finds icons that are named and not there, and those that nothing names.
func checkIcons(there []string, themes []theme, palettes map[string]*palette) error {
	unused := make(map[string]bool, len(there))
	for _, icon := range there {
		unused[icon] = true
	}
	named := map[string]string{} // an icon and who names it
	for _, t := range themes {
		named[t.Icon] = "themes.json"
	}
	for _, p := range palettes {
		for _, c := range p.legend() {
			named[c.Icon] = "palette " + p.ID
		}
	}
	delete(named, "")
	for icon, by := range named {
		if !slices.Contains(there, icon) {
			return fmt.Errorf("%s: there is no icon %q", by, icon)
		}
		delete(unused, icon)
	}
	for icon := range unused {
		return fmt.Errorf("nothing is drawn with the icon %s", icon)
	}
	return nil
}

// paletteOf finds a theme's palette, or makes one of its only colour.
func paletteOf(palettes map[string]*palette, t *theme) (*palette, error) {
	if t.Palette != "" {
		p, ok := palettes[t.Palette]
		if !ok {
			return nil, fmt.Errorf("there is no palette %s", t.Palette)
		}
		if t.Icon != "" {
			return nil, fmt.Errorf("the icons are those of palette %s", t.Palette)
		}
		return p, nil
	}
	if !hexColor.MatchString(t.Color) {
		return nil, fmt.Errorf("%q is no colour", t.Color)
	}
	return &palette{Other: Class{Color: t.Color, Icon: t.Icon}}, nil
}

func loadPalettes(from fs.FS) (map[string]*palette, error) {
	names, err := fs.Glob(from, "palettes/*.json")
	if err != nil {
		return nil, err
	}
	out := make(map[string]*palette, len(names))
	for _, name := range names {
		raw, err := fs.ReadFile(from, name)
		if err != nil {
			return nil, err
		}
		p, err := parsePalette(raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if p.ID+".json" != path.Base(name) {
			return nil, fmt.Errorf("%s holds the palette %s", name, p.ID)
		}
		out[p.ID] = p
	}
	return out, nil
}

// strict reads JSON that has no members but those of v.
func strict(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// themeOf finds how a dataset is drawn: by its layer standard, else by its id, else
// by what its class column is called. It is nil for a dataset nobody foresaw.
func (b *Book) themeOf(d *catalog.Dataset) *theme {
	class := strings.ToUpper(classOf(d))
	for _, fits := range []func(t *theme) bool{
		func(t *theme) bool { return d.Profile != "" && slices.Contains(t.Profiles, d.Profile) },
		func(t *theme) bool { return slices.Contains(t.Datasets, d.ID) },
		func(t *theme) bool { return class != "" && slices.Contains(t.Fields, class) },
	} {
		for i := range b.themes {
			if t := &b.themes[i]; fits(t) {
				return t
			}
		}
	}
	return nil
}

// Foreseen reports whether a table of ours names the classes of the dataset, or it
// is drawn in one colour. The classes of another dataset must be given to Make.
func (b *Book) Foreseen(d *catalog.Dataset) bool { return b.themeOf(d) != nil || classOf(d) == "" }

// classOf and labelOf are the class and label columns that the current release
// really has.
func classOf(d *catalog.Dataset) string { return columnOf(d, d.Class) }
func labelOf(d *catalog.Dataset) string { return columnOf(d, d.Label) }

func columnOf(d *catalog.Dataset, name string) string {
	if _, ok := d.Current.Column(name); name == "" || !ok {
		return ""
	}
	return name
}
