package profile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"changde/ingest/layer"
	"changde/problem"
	"changde/schemas/profiles"
)

// The bounds of a folder of profiles.
const (
	maxProfiles = 1000
	maxTables   = 500
)

// Library is a set of profiles and code tables that fit together. It never
// changes and may be used by many goroutines.
type Library struct {
	profiles map[string]*Profile
	codes    map[string]*Codes
}

// Builtin is the library of schemas/profiles. Reading it takes a few
// milliseconds; keep what it returns.
func Builtin() (*Library, error) {
	lib, err := Load(profiles.FS)
	if err != nil {
		return nil, fmt.Errorf("built-in profiles: %w", err)
	}
	return lib, nil
}

// Load reads a folder: its *.json are profiles (other than *.schema.json), and its
// codes/*.json with a .csv beside each are code tables. Every profile must pass
// Check with these tables and its file must be named after its id. What is wrong
// is a *problem.Error that names the file; when several files are wrong, the
// errors are joined.
func Load(from fs.FS) (*Library, error) {
	return new(Library).Overlay(from)
}

// Overlay returns a library with the profiles and tables of a folder beside those
// of lib; one of the same id takes the place of the other. The profiles of lib are
// checked again, as a table may have lost a code that one of them names. lib stays
// as it is.
func (lib *Library) Overlay(from fs.FS) (*Library, error) {
	over := &Library{profiles: map[string]*Profile{}, codes: map[string]*Codes{}}
	maps.Copy(over.profiles, lib.profiles)
	maps.Copy(over.codes, lib.codes)
	var errs []error
	names, err := jsonFiles(from, "codes", maxTables)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		c, err := loadCodes(from, name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		over.codes[c.ID] = c
	}
	names, err = jsonFiles(from, ".", maxProfiles)
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for _, name := range names {
		p, err := loadProfile(from, name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		over.profiles[p.ID] = p
		files[p.ID] = name
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	for _, c := range over.sortedCodes() {
		if err := over.checkMaps(c); err != nil {
			errs = append(errs, err)
		}
	}
	for _, p := range over.Profiles() {
		if found := Check(p, over); Failed(found) {
			where := files[p.ID]
			if where == "" {
				where = p.ID
			}
			errs = append(errs, failure("profile-unfit", where, found))
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return over, nil
}

func failure(code, where string, found []Issue) error {
	zh, en := joined(found)
	return problem.New(problem.Invalid, code, where, zh, en)
}

// jsonFiles lists the JSON files of a folder; a folder that is not there has none.
func jsonFiles(from fs.FS, dir string, most int) ([]string, error) {
	entries, err := fs.ReadDir(from, dir)
	if errors.Is(err, fs.ErrNotExist) && dir != "." {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list profiles: %w", err)
	}
	var names []string
	for _, e := range entries {
		if name := e.Name(); !e.IsDir() && strings.HasSuffix(name, ".json") && !strings.HasSuffix(name, ".schema.json") {
			names = append(names, path.Join(dir, name))
		}
	}
	if len(names) > most {
		return nil, problem.New(problem.TooLarge, "profiles-too-many", dir,
			fmt.Sprintf("文件超过 %d 个", most), fmt.Sprintf("there are more than %d files", most))
	}
	return names, nil
}

func loadProfile(from fs.FS, name string) (*Profile, error) {
	f, err := from.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open a profile: %w", err)
	}
	defer f.Close()
	p, found, err := Decode(f)
	if err != nil {
		return nil, at(name, err)
	}
	if len(found) > 0 {
		return nil, failure("profile-invalid", name, found)
	}
	if p.ID+".json" != path.Base(name) {
		return nil, misnamed(name, p.ID)
	}
	return p, nil
}

func loadCodes(from fs.FS, name string) (*Codes, error) {
	head, err := fs.ReadFile(from, name)
	if err != nil {
		return nil, fmt.Errorf("open a code table: %w", err)
	}
	csvName := strings.TrimSuffix(name, ".json") + ".csv"
	rows, err := from.Open(csvName)
	if err != nil {
		return nil, problem.Wrap(err, problem.Invalid, "codes-no-csv", csvName,
			"代码表的 CSV 文件不存在或无法打开", "the CSV file of the code table is not there or cannot be opened")
	}
	defer rows.Close()
	c, found, err := DecodeCodes(bytes.NewReader(head), rows)
	if err != nil {
		return nil, at(name, err)
	}
	if len(found) > 0 {
		return nil, failure("codes-invalid", name, found)
	}
	if c.ID+".json" != path.Base(name) {
		return nil, misnamed(name, c.ID)
	}
	return c, nil
}

func misnamed(name, id string) error {
	return problem.New(problem.Invalid, "profile-file-name", name,
		"文件名应与编号一致："+id+".json", "the file must be named after the id: "+id+".json")
}

// at puts the file's name before the place in a problem.
func at(name string, err error) error {
	var p *problem.Error
	if !errors.As(err, &p) {
		return fmt.Errorf("%s: %w", name, err)
	}
	q := *p
	q.Where = strings.TrimSpace(name + " " + p.Where)
	return &q
}

func (lib *Library) checkMaps(c *Codes) error {
	if c.MapsTo == "" {
		return nil
	}
	to, ok := lib.codes[c.MapsTo]
	if !ok {
		return problem.New(problem.Invalid, "codes-unknown", c.ID, "没有代码表 "+cite(c.MapsTo), "there is no code table "+cite(c.MapsTo))
	}
	for row := range c.Each() {
		for _, code := range row.Maps {
			if _, ok := to.Get(code); !ok {
				return problem.New(problem.Invalid, "code-maps", c.ID+" "+row.Code,
					"代码表 "+to.ID+" 中没有 "+cite(code), "the code table "+to.ID+" has no "+cite(code))
			}
		}
	}
	return nil
}

// Profile returns the profile of an id. It must not be changed.
func (lib *Library) Profile(id string) (*Profile, bool) {
	p, ok := lib.profiles[id]
	return p, ok
}

// Profiles returns all profiles by id. They must not be changed.
func (lib *Library) Profiles() []*Profile {
	return slices.SortedFunc(maps.Values(lib.profiles), func(a, b *Profile) int { return strings.Compare(a.ID, b.ID) })
}

// Codes returns the code table of an id.
func (lib *Library) Codes(id string) (*Codes, bool) {
	c, ok := lib.codes[id]
	return c, ok
}

// CodeTables returns all code tables by id.
func (lib *Library) CodeTables() []*Codes { return lib.sortedCodes() }

func (lib *Library) sortedCodes() []*Codes {
	return slices.SortedFunc(maps.Values(lib.codes), func(a, b *Codes) int { return strings.Compare(a.ID, b.ID) })
}

// Field returns the field of a name, whatever its case.
func (p *Profile) Field(name string) (Field, bool) {
	i := slices.IndexFunc(p.Fields, func(f Field) bool { return fold(f.Name) == fold(name) })
	if i < 0 {
		return Field{Type: layer.Text}, false
	}
	return p.Fields[i], true
}
