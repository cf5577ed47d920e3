package ingest_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"changde/catalog"
	"changde/ingest"
	"changde/ingest/depot"
	"changde/problem"
)

// desk is an ingester with a depot, whose jobs the test does itself.
type desk struct {
	bundle
	jobs []ingest.Job
}

func newDesk(t testing.TB) *desk {
	t.Helper()
	d := &desk{bundle: setup(t)}
	folder, err := depot.OpenFolder(t.TempDir(), depot.Config{})
	if err != nil {
		t.Fatal(err)
	}
	d.Ingester = ingest.New(d.pool, ingest.Config{
		City: changde, TempDir: t.TempDir(), Keep: 3, Depot: folder,
		Enqueue: func(_ context.Context, _ pgx.Tx, j ingest.Job) error {
			d.jobs = append(d.jobs, j)
			return nil
		},
	})
	d.org("land", "water")
	return d
}

// receive hands a delivery over and works until no delivery is left to process.
func (d *desk) receive(by ingest.Decider, r ingest.Request, path string) (int64, error) {
	d.Helper()
	id, err := d.ReceiveFiles(d.Context(), r, []string{path}, "", by)
	if err != nil {
		return id, err
	}
	return id, d.work()
}

func (d *desk) work() error {
	for len(d.jobs) > 0 {
		j := d.jobs[0]
		d.jobs = d.jobs[1:]
		if j.Delivery != 0 {
			if err := d.Process(d.Context(), j.Delivery, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

var (
	landKey  = ingest.Decider{Actor: "l1", Organisation: "land", Approver: true, Contributor: true}
	waterKey = ingest.Decider{Actor: "w1", Organisation: "water", Contributor: true}
)

// A delivery that names no dataset goes nowhere its sender could not have sent it:
// it waits for the owner's decision, and a private dataset stays unseen.
func TestLayersOfAnotherOwner(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	// The layer is named as the file, so as the dataset.
	named := func(n int) string {
		return file(t, "p.geojson", `{"type":"FeatureCollection","name":"p","features":[`+strings.Join(slices.Repeat([]string{
			`{"type":"Feature","properties":{"名称":"井"},"geometry":{"type":"Point","coordinates":[111.5,29]}}`,
		}, n), ",")+`]}`)
	}
	if _, err := d.receive(landKey, ingest.Request{Dataset: "p", Settings: ingest.Settings{Owner: "land", Sharing: catalog.Internal}}, named(3)); err != nil {
		t.Fatal(err)
	}
	parent, err := d.receive(waterKey, ingest.Request{Confirm: true}, named(4))
	if err != nil {
		t.Fatal(err)
	}
	if got := d.rows(`SELECT state, request->>'foreign' FROM changde.deliveries WHERE parent = $1`, parent); got != "awaiting true" {
		t.Errorf("what water delivered for land's dataset is %q", got)
	}
	if got := d.rows(`SELECT release, owner, rows FROM changde.datasets WHERE id = 'p'`); got != "1 land 3" {
		t.Errorf("the dataset is %q", got)
	}
	if err := d.Describe(t.Context(), "p", ingest.Settings{Sharing: catalog.Private}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.receive(waterKey, ingest.Request{Dataset: "p"}, named(5)); !problem.Is(err, problem.NotFound) {
		t.Errorf("delivering into a private dataset: %v", err)
	}
	// It became private after the delivery was received.
	parent, err = d.receive(waterKey, ingest.Request{}, named(6))
	if err != nil || d.state(parent) != ingest.StateFailed {
		t.Errorf("delivery %d for a private dataset is %s, %v", parent, d.state(parent), err)
	}
	if got := d.rows(`SELECT count(*) FROM changde.deliveries WHERE parent = $1 AND state <> 'failed'`, parent); got != "0" {
		t.Errorf("%s deliveries go into the private dataset", got)
	}
}

// Nobody switches off by a delivery that it must be approved.
func TestApprovalIsNotSwitchedOffByADelivery(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.deliver(ingest.Request{Files: []string{points(t, 5)}, Dataset: "p", Sender: "land", Settings: ingest.Settings{Owner: "land"}})
	if err := d.Describe(t.Context(), "p", ingest.Settings{Approval: catalog.FourEyes}); err != nil {
		t.Fatal(err)
	}
	contributor := ingest.Decider{Actor: "l2", Organisation: "land", Contributor: true}
	id, err := d.receive(contributor, ingest.Request{Dataset: "p", Settings: ingest.Settings{Approval: catalog.Automatic, Sharing: catalog.Public}}, points(t, 5))
	if err != nil {
		t.Fatal(err)
	}
	if got := d.state(id); got != ingest.StateAwaiting {
		t.Fatalf("the delivery is %s", got)
	}
	if got := d.rows(`SELECT approval, sharing FROM changde.datasets WHERE id = 'p'`); got != "four-eyes internal" {
		t.Errorf("the dataset is %q", got)
	}
	// Who took part in the delivery is not the second pair of eyes.
	if err := d.Decide(t.Context(), id, ingest.Approve, ingest.Decider{Actor: "l2", Admin: true}); !problem.Is(err, problem.Forbidden) {
		t.Errorf("approving one's own: %v", err)
	}
}

// A delivery that changes settings was checked with those of its time.
func TestSettingsChangedWhileADeliveryWaits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.org("land")
	b.deliver(ingest.Request{Files: []string{points(t, 10)}, Dataset: "p", Settings: ingest.Settings{Owner: "land"}})
	waiting, err := b.try(ingest.Request{Files: []string{points(t, 15)}, Dataset: "p", Settings: ingest.Settings{TitleZH: "点"}})
	if err != nil || waiting.State != ingest.StateAwaiting {
		t.Fatalf("%+v, %v", waiting, err)
	}
	if err := b.Describe(t.Context(), "p", ingest.Settings{Label: "n"}); err != nil {
		t.Fatal(err)
	}
	if err := b.Decide(t.Context(), waiting.Delivery, ingest.Approve, ingest.Decider{Admin: true}); !problem.Is(err, problem.Conflict) {
		t.Errorf("approving over later settings: %v", err)
	}
	if got := b.rows(`SELECT release, rows FROM changde.datasets WHERE id = 'p'`); got != "1 10" {
		t.Errorf("the dataset is %q", got)
	}
}
