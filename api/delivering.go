package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"strconv"
	"time"

	"changde/access"
	"changde/catalog"
	"changde/ingest"
	"changde/problem"
)

// decider is what the caller may do with deliveries.
func decider(p access.Principal) ingest.Decider {
	actor := p.KeyID
	if actor != "" {
		actor = "key:" + actor
	}
	return ingest.Decider{
		Actor: actor, Organisation: p.Organisation,
		Admin: p.Operates(), Approver: p.MayApprove(), Contributor: p.MayContribute(),
	}
}

// reading is what the caller may read of deliveries: all keys of the organisation
// that administers the platform read all.
func reading(p access.Principal) ingest.Decider {
	d := decider(p)
	d.Admin = p.Admin && !p.Anonymous()
	return d
}

const (
	defaultDeliveries = 50
	maxDeliveries     = 1000
	uploadOffset      = "Upload-Offset"
)

func (s *Server) listDeliveries(w http.ResponseWriter, r *request) error {
	n, err := limit(r.query, defaultDeliveries, maxDeliveries)
	if err != nil {
		return err
	}
	before, err := integer(r.query, "next", 0, 1, 1<<62)
	if err != nil {
		return errPageMark
	}
	var list []ingest.Summary
	var next int64
	if !r.principal.Anonymous() {
		if list, next, err = s.Ingest.Deliveries(r.Context(), reading(r.principal), ingest.Filter{
			Dataset: r.query.Get("dataset"), State: r.query.Get("state"), Before: before, Limit: n,
		}); err != nil {
			return err
		}
	}
	type linked struct {
		ingest.Summary
		Href string `json:"href"`
	}
	base := s.origin(r.Request)
	out := make([]linked, 0, len(list))
	for _, d := range list {
		out = append(out, linked{d, deliveryURL(base, d.Delivery)})
	}
	links := []link{{Href: pageURL(base+"/deliveries", r.query, nil), Rel: "self", Type: mediaJSON}}
	if next > 0 {
		q := r.query
		q.Set("next", strconv.FormatInt(next, 10))
		href := pageURL(base+"/deliveries", q, nil)
		links = append(links, link{Href: href, Rel: "next", Type: mediaJSON})
		linkNext(w, href, mediaJSON)
	}
	return writeJSON(w, r, mediaJSON, map[string]any{"deliveries": out, "numberReturned": len(out), "links": links})
}

func deliveryURL(base string, id int64) string { return fmt.Sprintf("%s/deliveries/%d", base, id) }

// createDelivery records a delivery; its files are uploaded to it and it is
// submitted.
func (s *Server) createDelivery(w http.ResponseWriter, r *request) error {
	if r.principal.Anonymous() {
		return problem.New(problem.Unauthenticated, "key-required", "", "交付需要单位密钥（Authorization: Bearer、X-API-Key）", "delivering needs an organisation's key (Authorization: Bearer, X-API-Key)")
	}
	var body ingest.Request
	if err := readJSON(r, &body); err != nil {
		return err
	}
	// These are not the caller's to say.
	body.Actor, body.Foreign, body.Files, body.Parcel, body.Standing = "", false, nil, "", ""
	id, err := s.Ingest.Receive(r.Context(), body, decider(r.principal))
	if err != nil {
		return err
	}
	return s.answerDelivery(w, r, id, http.StatusCreated)
}

// readJSON reads a body that holds one JSON value and nothing unknown.
func readJSON(r *request, into any) error {
	body, err := io.ReadAll(r.Body)
	if err == nil && (bytes.Contains(body, []byte(`\u0000`)) || bytes.IndexByte(body, 0) >= 0) {
		err = errors.New("a text has a NUL")
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err == nil {
		err = decoder.Decode(into)
	}
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return problem.Wrap(err, problem.TooLarge, "body-large", "", fmt.Sprintf("请求体最多 %d 字节", large.Limit), fmt.Sprintf("the body has at most %d bytes", large.Limit))
	case err == nil:
		if _, err = decoder.Token(); errors.Is(err, io.EOF) {
			return nil
		}
		err = errors.New("there is more after the first value")
	}
	return problem.Wrap(err, problem.Invalid, "body-invalid", "", "请求体不是所要求的 JSON："+err.Error(), "the body is not the JSON that is wanted: "+err.Error())
}

// answerDelivery answers the delivery as it stands.
func (s *Server) answerDelivery(w http.ResponseWriter, r *request, id int64, status int) error {
	d, err := s.Ingest.Delivery(r.Context(), id, 0)
	if err != nil {
		return err
	}
	body, err := json.Marshal(answered(r, d))
	if err != nil {
		return fmt.Errorf("encode delivery: %w", err)
	}
	w.Header().Set("Location", deliveryURL(s.origin(r.Request), id))
	return send(w, r, mediaJSON, "", "no-store", status, body)
}

func (r *request) delivery() (int64, error) {
	id, err := strconv.ParseInt(r.param("delivery"), 10, 64)
	if err != nil || id < 1 || r.principal.Anonymous() {
		return 0, ingest.ErrNoDelivery
	}
	return id, nil
}

// uploaded answers how much of a file has arrived.
func (s *Server) uploaded(w http.ResponseWriter, r *request) error {
	id, err := r.delivery()
	if err != nil {
		return err
	}
	size, err := s.Ingest.Uploaded(r.Context(), id, r.param("file"), decider(r.principal))
	if err != nil {
		return err
	}
	w.Header().Set(uploadOffset, strconv.FormatInt(size, 10))
	body, err := json.Marshal(map[string]any{"file": r.param("file"), "offset": size})
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	return send(w, r, mediaJSON, "", "no-store", http.StatusOK, body)
}

// listUploads answers what has arrived of each file.
func (s *Server) listUploads(w http.ResponseWriter, r *request) error {
	id, err := r.delivery()
	if err != nil {
		return err
	}
	files, err := s.Ingest.Files(r.Context(), id, decider(r.principal))
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{"files": files})
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	return send(w, r, mediaJSON, "", "no-store", http.StatusOK, body)
}

// upload takes bytes of a file from an offset on: all of it (PUT), or what follows
// what has arrived (PATCH with Upload-Offset). After a break the caller asks for
// the offset and goes on.
func (s *Server) upload(w http.ResponseWriter, r *request) error {
	id, err := r.delivery()
	if err != nil {
		return err
	}
	var offset int64
	if given := r.Header.Get(uploadOffset); given != "" || r.Method == http.MethodPatch {
		if offset, err = strconv.ParseInt(given, 10, 64); err != nil || offset < 0 {
			return problem.New(problem.Invalid, "upload-offset", uploadOffset, "请求头 Upload-Offset 应为从 0 起的整数", "the header Upload-Offset must be a whole number from 0")
		}
	}
	// Bytes that arrive are time well spent: each piece has its own deadline.
	controller := http.NewResponseController(w)
	body := &pacedReader{body: r.Body, extend: func() error { return controller.SetReadDeadline(time.Now().Add(uploadPause)) }}
	_ = controller.SetWriteDeadline(time.Now().Add(uploadTotal))
	size, err := s.Ingest.Upload(r.Context(), id, r.param("file"), offset, body, decider(r.principal))
	if size > 0 {
		w.Header().Set(uploadOffset, strconv.FormatInt(size, 10))
	}
	var p *problem.Error
	if err != nil && body.broken != nil && !errors.As(err, &p) {
		s.config.Log.InfoContext(r.Context(), "upload broken off by the client", "delivery", id, "file", r.param("file"), "bytes", size, "request", requestID(r.Context()))
		w.WriteHeader(statusClientClosed)
		return nil
	}
	if err != nil {
		return err
	}
	answer, err := json.Marshal(map[string]any{"file": r.param("file"), "offset": size})
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	return send(w, r, mediaJSON, "", "no-store", http.StatusOK, answer)
}

// An upload may take long as long as bytes arrive.
const (
	uploadPause = 30 * time.Second
	uploadTotal = 6 * time.Hour
)

// pacedReader lets a body go on while bytes arrive.
type pacedReader struct {
	body   io.Reader
	extend func() error
	last   time.Time
	broken error // why the body ended before its end
}

// Read moves the deadline at most once a second.
func (p *pacedReader) Read(b []byte) (int, error) {
	if now := time.Now(); now.Sub(p.last) > time.Second {
		p.last = now
		_ = p.extend() // a transport without deadlines has none to move
	}
	n, err := p.body.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		p.broken = err
	}
	return n, err
}

// submitDelivery hands a delivery to the workers.
func (s *Server) submitDelivery(w http.ResponseWriter, r *request) error {
	id, err := r.delivery()
	if err != nil {
		return err
	}
	if err := s.Ingest.Submit(r.Context(), id, r.query.Get("repeat") == "true", decider(r.principal)); err != nil {
		return err
	}
	return s.answerDelivery(w, r, id, http.StatusAccepted)
}

// splitDelivery says where the layers of a delivery go that nobody could tell.
func (s *Server) splitDelivery(w http.ResponseWriter, r *request) error {
	id, err := r.delivery()
	if err != nil {
		return err
	}
	var body struct {
		Layers map[string]string `json:"layers"`
	}
	if err := readJSON(r, &body); err != nil {
		return err
	}
	if err := s.Ingest.Split(r.Context(), id, body.Layers, decider(r.principal)); err != nil {
		return err
	}
	return s.answerDelivery(w, r, id, http.StatusAccepted)
}

// decideDelivery records a decision, which a worker carries out.
func (s *Server) decideDelivery(w http.ResponseWriter, r *request) error {
	id, err := r.delivery()
	if err != nil {
		return err
	}
	var body struct {
		Action   ingest.Action `json:"action"`
		Document string        `json:"document"`
		Note     string        `json:"note"`
	}
	if err := readJSON(r, &body); err != nil {
		return err
	}
	by := decider(r.principal)
	by.Document, by.Note = body.Document, body.Note
	if _, err := s.Ingest.Request(r.Context(), id, body.Action, by); err != nil {
		return err
	}
	return s.answerDelivery(w, r, id, http.StatusAccepted)
}

// How often a watched delivery is looked at, how often a watcher who hears nothing
// new is shown that the connection lives, and how long one stays.
const (
	eventEvery = time.Second
	eventBeat  = 15 * time.Second
	eventTotal = 15 * time.Minute
)

// restsWith reports whether a delivery in the state waits for a person: there is
// nothing to watch until somebody acts.
func restsWith(state string) bool {
	return state == ingest.StateReceiving || state == ingest.StateInspected || state == ingest.StateAwaiting
}

// watchDelivery streams the state and progress of a delivery as server-sent
// events while it is worked on (HTML, 9.2): until it has ended or waits for a
// person, and no longer than eventTotal.
func (s *Server) watchDelivery(w http.ResponseWriter, r *request) error {
	id, err := r.delivery()
	if err != nil {
		return err
	}
	d, err := s.concerning(r, id, 0)
	if err != nil {
		return err
	}
	if !s.watchers.TryAcquire(1) {
		return errCrowded
	}
	defer s.watchers.Release(1)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	controller := http.NewResponseController(w)
	ticker := time.NewTicker(eventEvery)
	defer ticker.Stop()
	ends := time.Now().Add(eventTotal)
	last, told := "", time.Now()
	for {
		event, err := json.Marshal(map[string]any{"state": d.State, "progress": d.Progress, "error": d.Error})
		if err != nil {
			return nil
		}
		text := ""
		if string(event) != last {
			last = string(event)
			text = "data: " + last + "\n\n"
		} else if time.Since(told) >= eventBeat {
			text = ": \n\n" // a comment keeps the connection
		}
		if text != "" {
			told = time.Now()
			_ = controller.SetWriteDeadline(told.Add(uploadPause))
			if _, err := io.WriteString(w, text); err != nil || controller.Flush() != nil {
				return nil
			}
		}
		if d.FinishedAt != nil || restsWith(d.State) || time.Now().After(ends) {
			return nil
		}
		select {
		case <-r.Context().Done():
			return nil
		case <-ticker.C:
		}
		if d, err = s.Ingest.Delivery(r.Context(), id, 0); err != nil {
			return nil // the client connects again and is told
		}
	}
}

// changedDataset is the difference of a delivery as a dataset of its own, so that
// it is read, paged and drawn like any other. values tells whether it has those before
// and after, where they are kept.
func (s *Server) changedDataset(r *request, values bool) (*catalog.Dataset, error) {
	id, err := r.delivery()
	if err != nil {
		return nil, err
	}
	d, err := s.concerning(r, id, 0)
	if err != nil {
		return nil, err
	}
	// Who sent the delivery sees what it changes of a dataset only where they see the
	// dataset.
	if _, seen := r.view.Dataset(d.Dataset); !seen && d.Difference != nil && !reading(r.principal).Admin && r.principal.Organisation != d.Owner {
		return nil, ingest.ErrNoDelivery
	}
	if d.Difference != nil && d.Difference.Dropped {
		return nil, problem.New(problem.NotFound, "difference-dropped", strconv.FormatInt(id, 10),
			"该交付的变化清单已不再保留：它没有发布，或其后已发布多版；两版之间的差异见 /datasets/"+d.Dataset+"/differences",
			"the list of what this delivery changes is no longer kept: it was not released, or many releases came after it; /datasets/"+d.Dataset+"/differences compares any two releases")
	}
	if d.Difference == nil || !d.Difference.Listed || d.State == ingest.StateRejected || d.State == ingest.StateWithdrawn || d.State == ingest.StateFailed {
		return nil, problem.New(problem.NotFound, "difference-not-listed", strconv.FormatInt(id, 10),
			"该交付没有逐个列出的变化：它是第一版、变化过多，或未进入比对", "the delivery has no list of changes: it is the first release, changes too much, or was not compared")
	}
	// The list is made anew when the delivery is compared again.
	state := fnv.New32a()
	if err := json.NewEncoder(state).Encode(d.Difference); err != nil {
		return nil, fmt.Errorf("encode difference: %w", err)
	}
	touched := d.Difference.Added + d.Difference.Removed + d.Difference.Changed
	rel := &catalog.Release{
		Number: 1, Revision: int64(state.Sum32()), Relation: [2]string{"difference", "d" + strconv.FormatInt(id, 10)},
		GeometryType: "Geometry", Columns: ingest.DifferenceColumns(values && d.Difference.Values), Rows: touched,
		ReleasedAt: d.StartedAt,
	}
	return &catalog.Dataset{
		ID: "changes", TitleZH: "变化", TitleEN: "changes", Sharing: catalog.Private, Kind: catalog.Edited,
		Class: "kind", Label: "label", Revision: id, Current: rel, Releases: []*catalog.Release{rel},
	}, nil
}

func (s *Server) deliveryChanges(w http.ResponseWriter, r *request) error {
	d, err := s.changedDataset(r, true)
	if err != nil {
		return err
	}
	return s.answerItems(w, r, d, s.origin(r.Request)+"/deliveries/"+r.param("delivery")+"/changes")
}

func (s *Server) deliveryChangesTile(w http.ResponseWriter, r *request) error {
	d, err := s.changedDataset(r, false)
	if err != nil {
		return err
	}
	a, err := r.address()
	if err != nil {
		return err
	}
	t, err := s.Tiles.Tile(r.Context(), d, d.Current, a)
	if err != nil {
		return err
	}
	return s.sendTile(w, r, t, false, d)
}
