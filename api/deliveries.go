package api

import (
	"net/http"
	"strconv"

	"changde/ingest"
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
	d, err := s.Ingest.Delivery(r.Context(), id, n)
	if err != nil {
		return err
	}
	if !d.Concerns(reading(r.principal)) {
		return ingest.ErrNoDelivery
	}
	return writeJSON(w, r, mediaJSON, d)
}
