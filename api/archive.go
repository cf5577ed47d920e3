package api

import (
	"net/http"
	"strings"
	"time"

	"changde/catalog"
	"changde/problem"
	"changde/tiles"
)

// mediaPMTiles is the media type of PMTiles 3, relEnclosure the relation of a link to
// what is large (RFC 4287, 4.2.7.2).
const (
	mediaPMTiles = "application/vnd.pmtiles"
	relEnclosure = "enclosure"
)

// maxDownloads bounds the archives that are sent at once, slowestDownload the bytes a
// second below which one is broken off; its client goes on where it was.
const (
	maxDownloads    = 100
	slowestDownload = 256 << 10
)

var (
	errDownloads = problem.New(problem.Busy, "crowded", "", "正在下载的瓦片档案过多，请稍后重试", "too many archives are being downloaded at the moment; try again later")
	errRange     = problem.New(problem.Invalid, "range-outside", "Range", "所请求的字节范围不在文件之内；文件长度见 Content-Range", "the range lies outside the file, whose length is in Content-Range")
	errUnlike    = problem.New(problem.Conflict, "precondition-failed", "If-Match", "文件已不是请求所指的那一个；请重新下载", "the file is not the one that the request names any more; download it again")
)

// archive answers the archive of all tiles of a collection, or a range of its bytes
// (RFC 9110, 14), while it shows the collection as it is.
func (s *Server) archive(w http.ResponseWriter, r *request) error {
	d, err := r.dataset()
	if err != nil {
		return err
	}
	set, err := tiles.Find(r.param("tileMatrixSet"))
	if err != nil {
		return err
	}
	if set.ID != defaultSet {
		return problem.New(problem.NotFound, "archive-none", set.ID, "瓦片档案只有 "+defaultSet+" 格网的", "there are archives of "+defaultSet+" alone")
	}
	file, err := s.Tiles.Download(r.Context(), d, d.Current)
	if err != nil {
		return err
	}
	if !s.downloads.TryAcquire(1) {
		return errDownloads
	}
	defer s.downloads.Release(1)
	stamp(w, d, d.Current)
	h := w.Header()
	h.Set("Content-Type", mediaPMTiles)
	h.Set("Content-Disposition", `attachment; filename="`+d.ID+`.pmtiles"`)
	h.Set("ETag", file.ETag)
	// The file may be made anew for the same revision: parts of two must not be kept as
	// parts of one.
	h.Set("Cache-Control", keeping[visibility(r, d)][false])
	// A writer that knows no deadline, as of a test, has none to be moved.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(WriteTimeout + time.Duration(file.Size()/slowestDownload)*time.Second))
	if !strings.HasPrefix(r.Header.Get("Range"), "bytes=") {
		r.Header.Del("Range") // in units that nobody knows (RFC 9110, 14.2)
	}
	refusal := &refusals{ResponseWriter: w}
	http.ServeContent(refusal, r.Request, "", file.Modified, file)
	if refusal.status != 0 {
		h.Del("Content-Disposition")
	}
	switch refusal.status {
	case http.StatusRequestedRangeNotSatisfiable:
		return errRange
	case http.StatusPreconditionFailed:
		return errUnlike
	}
	return nil
}

// refusals holds back the answer of a request that cannot be met, which is told as a
// problem.
type refusals struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (w *refusals) WriteHeader(status int) {
	if status >= http.StatusBadRequest {
		w.status = status
		return
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *refusals) Write(b []byte) (int, error) {
	if w.status != 0 {
		return len(b), nil
	}
	return w.ResponseWriter.Write(b)
}

// archiveLink leads to the archive of a tileset where there is one at the moment.
func (s *Server) archiveLink(r *request, at string, set tiles.MatrixSet, datasets []*catalog.Dataset) (link, bool) {
	if len(datasets) != 1 || set.ID != defaultSet || r.param("collection") == "" {
		return link{}, false
	}
	d := datasets[0]
	file, err := s.Tiles.Download(r.Context(), d, d.Current)
	if err != nil {
		return link{}, false // there may be one later, and everything else is there now
	}
	return link{
		Href: at + "/" + set.ID + "/archive.pmtiles", Rel: relEnclosure, Type: mediaPMTiles,
		Title: "全部瓦片 / all tiles", Length: file.Size(),
	}, true
}
