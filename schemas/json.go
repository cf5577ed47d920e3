package schemas

import (
	"embed"
	"io/fs"
	"path"
	"strings"
)

//go:embed json/*.json
var documents embed.FS

// JSON returns the JSON Schema of that name: what the API answers, or takes, in
// the form of an OpenAPI 3.0 schema object. References between them are to
// #/components/schemas/<name>. The bytes are the caller's.
func JSON(name string) ([]byte, bool) {
	if strings.ContainsAny(name, `/\.`) {
		return nil, false
	}
	b, err := documents.ReadFile("json/" + name + ".json")
	return b, err == nil
}

// JSONNames lists the schemas by name, sorted.
func JSONNames() []string {
	files, err := fs.Glob(documents, "json/*.json")
	if err != nil {
		return nil // only for a malformed pattern
	}
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = strings.TrimSuffix(path.Base(f), ".json")
	}
	return names
}
