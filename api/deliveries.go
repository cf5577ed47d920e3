package api

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"

	"changde/ingest"
	"changde/ingest/report"
)

// maxFindings bounds the findings of one answer, defaultFindings is how many it
// has when none is asked for.
const (
	defaultFindings = 1000
	maxFindings     = 10_000
)

// delivery answers a delivery's report to those it concerns: rows that were
// refused are nobody else's business.
func (s *Server) delivery(w http.ResponseWriter, r *request) error {
	id, err := strconv.ParseInt(r.param("delivery"), 10, 64)
	if err != nil {
		return ingest.ErrNoDelivery
	}
	n, err := limit(r.query, defaultFindings, maxFindings)
	if err != nil {
		return err
	}
	if r.principal.Anonymous() {
		return ingest.ErrNoDelivery
	}
	d, err := s.concerning(r, id, n)
	if err != nil {
		return err
	}
	return writeJSON(w, r, mediaJSON, answered(r, d))
}

// answered is a delivery with what its reader may do with it.
func answered(r *request, d *ingest.Delivery) any {
	return struct {
		*ingest.Delivery
		May []ingest.Action `json:"may"`
	}{d, d.May(decider(r.principal))}
}

// concerning reads a delivery with so many findings. For those whom it does not
// concern it does not exist.
func (s *Server) concerning(r *request, id int64, findings int) (*ingest.Delivery, error) {
	d, err := s.Ingest.Delivery(r.Context(), id, findings)
	if err != nil {
		return nil, err
	}
	if !d.Concerns(reading(r.principal)) {
		return nil, ingest.ErrNoDelivery
	}
	return d, nil
}

// reportMedia are the media types of a report's formats.
var reportMedia = map[string]string{
	"html": "text/html; charset=utf-8", "json": mediaJSON, "geojson": mediaGeoJSON, "gpkg": "application/geopackage+sqlite3",
	"xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}

// deliveryReport answers the report as a document to read, print and file.
func (s *Server) deliveryReport(w http.ResponseWriter, r *request) error {
	id, err := r.delivery()
	if err != nil {
		return err
	}
	d, err := s.concerning(r, id, 0)
	if err != nil {
		return err
	}
	format := r.query.Get("f")
	if format == "" {
		format = "html"
	}
	if !s.watchers.TryAcquire(1) {
		return errCrowded
	}
	defer s.watchers.Release(1)
	// Written whole before the first byte is sent: a report cut short would be taken
	// for the report.
	file, err := os.CreateTemp("", "changde-report-")
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	defer func() { _ = file.Close(); _ = os.Remove(file.Name()) }()
	others := make(map[string]string)
	for _, f := range ingest.ReportFormats() {
		others[f] = deliveryURL(s.origin(r.Request), id) + "/report?f=" + f
	}
	if err := s.Ingest.WriteReport(r.Context(), file, d, format, others); err != nil {
		return err
	}
	size, err := file.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", reportMedia[format])
	h.Set("Cache-Control", "private, no-store")
	h.Set("Content-Length", strconv.FormatInt(size, 10))
	if format == "html" {
		h.Set("Content-Security-Policy", report.ContentSecurityPolicy())
	} else {
		h.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="delivery-%d.%s"`, id, format))
	}
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = io.Copy(w, file) // a client that left cannot be told
	}
	return nil
}
