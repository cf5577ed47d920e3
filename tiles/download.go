package tiles

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"time"

	"changde/catalog"
	"changde/problem"
)

// Download is an archive of all tiles of a release in WebMercatorQuad, which never
// changes: PMTiles 3, zoom 0 to ArchiveZoom.
type Download struct {
	*io.SectionReader // keeps the file open
	// ETag is a strong entity tag of the bytes, quotes included.
	ETag string
	// Modified is when the archive was made.
	Modified time.Time
}

// Download gives the archive that shows a release as it is, to the last change. Where
// none does, because none is kept or because rows were changed since, it is
// problem.NotFound.
func (s *Source) Download(ctx context.Context, d *catalog.Dataset, r *catalog.Release) (*Download, error) {
	if s.config.Archives == nil {
		return nil, problem.New(problem.NotFound, "archive-none", d.ID,
			"本服务不保存瓦片档案（启动时没有给 --tiles）；请逐张取瓦片", "this server keeps no archives of tiles (it runs without --tiles); ask for the tiles one by one")
	}
	if !r.Versioned() {
		return nil, problem.New(problem.NotFound, "archive-none", d.ID,
			"这个数据集没有瓦片档案，它的瓦片随请求生成；请逐张取瓦片", "there is no archive of this dataset, whose tiles are made when they are asked for; ask for them one by one")
	}
	archives, err := s.config.Archives.of(ctx, d, r)
	if err != nil {
		return nil, err
	}
	// WebMercatorQuad is the grid that readers of PMTiles know.
	if c := serving(archives, d, r, "", ArchiveZoom); c != nil {
		same, err := c.touched.none(ctx, s.pool, r)
		if err != nil {
			return nil, err
		}
		if same {
			return c.download(), nil
		}
	}
	return nil, problem.New(problem.NotFound, "archive-behind", d.ID,
		"目前没有与当前内容完全一致的瓦片档案：改动之后由工作进程在后台重新切片，请稍后再取；在此之前请逐张取瓦片，它们总是最新的",
		"no archive shows the dataset exactly as it is: after changes the workers cut it anew in the background; try again later, and until then ask for the tiles one by one, which are always up to date")
}

func (c *archive) download() *Download {
	// A file of this name is never written to, but it may be made anew.
	sum := sha256.Sum256([]byte(c.name + " " + c.file.ID()))
	return &Download{
		SectionReader: io.NewSectionReader(c.file, 0, c.file.Size()), ETag: `"` + hex.EncodeToString(sum[:16]) + `"`, Modified: c.file.Modified(),
	}
}
