package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"changde/catalog"
	"changde/postgis"
	"changde/problem"
)

// Receive records a delivery whose files come by Upload; Submit then hands it to
// the workers. by is who delivers: a contributor of the sender, or an operator for
// any sender.
func (i *Ingester) Receive(ctx context.Context, r Request, by Decider) (id int64, err error) {
	if i.config.Depot == nil {
		return 0, errNoDepot
	}
	if !by.Admin {
		if !by.Contributor || by.Organisation == "" {
			return 0, problem.New(problem.Forbidden, "delivery-forbidden", "", "您的密钥没有交付权限，请联系管理员改为 contributor 或 approver", "your key may not deliver; ask the operator for the role contributor or approver")
		}
		r.Sender = by.Organisation
	}
	r.Actor, r.Standing = by.Actor, by.standing()
	if err := i.checkRequest(ctx, &r); err != nil {
		return 0, err
	}
	request, err := json.Marshal(r)
	if err != nil {
		return 0, fmt.Errorf("encode request: %w", err)
	}
	err = postgis.Transact(ctx, i.pool, i.pool, func(tx pgx.Tx) error {
		if r.Dataset != "" {
			if err := ensure(ctx, tx, r.Dataset); err != nil {
				return err
			}
		}
		err := tx.QueryRow(ctx, `INSERT INTO changde.deliveries (dataset, sender, files, bytes, state, relation, request, depot, mode, actor, actors, document, note)
			VALUES (nullif($1, ''), nullif($2, ''), '{}', 0, 'receiving', '', $3, true, $4, $5, ARRAY[$5::text], $6, $7) RETURNING id`,
			r.Dataset, r.Sender, request, string(r.Mode), r.Actor, r.Document, r.Note).Scan(&id)
		if err != nil {
			return err
		}
		return audit(ctx, tx, by, "deliver", fmt.Sprintf("delivery:%d", id), map[string]any{"dataset": r.Dataset})
	})
	if err != nil {
		return 0, postgis.Fault(ctx, err, "record delivery")
	}
	return id, nil
}

var errNoDepot = problem.New(problem.Busy, "no-depot", "", "服务没有配置交付文件的存放处（--depot），暂不能上传", "no depot for delivered files is configured (--depot); uploads are not possible")

// ReceiveFiles makes a delivery of files on this machine: it stores them and
// submits. parcel, where the source numbers what it hands over, makes one delivery
// for one parcel however often it is handed over.
func (i *Ingester) ReceiveFiles(ctx context.Context, r Request, paths []string, parcel string, by Decider) (int64, error) {
	r.Parcel = parcel
	var id int64
	var state string
	err := pgx.ErrNoRows
	if parcel != "" {
		err = i.pool.QueryRow(ctx, "SELECT id, state FROM changde.deliveries WHERE request->>'parcel' = $1", parcel).Scan(&id, &state)
	}
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		if id, err = i.Receive(ctx, r, by); err != nil {
			return 0, err
		}
	case err != nil:
		return 0, fmt.Errorf("look for parcel %s: %w", parcel, err)
	case state != StateReceiving:
		return id, nil
	}
	for _, path := range paths {
		if err := i.store(ctx, id, path, by); err != nil {
			return id, err
		}
	}
	return id, i.Submit(ctx, id, true, by)
}

// store uploads a file of this machine, going on where an earlier try ended.
func (i *Ingester) store(ctx context.Context, id int64, path string, by Decider) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("store %s: %w", path, err)
	}
	defer f.Close()
	name := filepath.Base(path)
	offset, err := i.Uploaded(ctx, id, name, by)
	if err != nil {
		offset = 0 // not begun
	}
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return fmt.Errorf("store %s: %w", path, err)
	}
	_, err = i.Upload(ctx, id, name, offset, f, by)
	return err
}

// checkRequest refuses what cannot be asked, or not by this sender.
func (i *Ingester) checkRequest(ctx context.Context, r *Request) error {
	for _, text := range []*string{&r.Encoding, &r.ChangeField, &r.GeometryColumns, &r.Document, &r.Note} {
		if utf8.RuneCountInString(*text) > maxNote {
			return problem.New(problem.TooLarge, "note-long", "", fmt.Sprintf("文字最多 %d 字", maxNote), fmt.Sprintf("a text has at most %d characters", maxNote))
		}
		*text = cleanText(*text)
	}
	if r.Priority < 0 || r.Priority > 4 {
		return problem.New(problem.Invalid, "priority-range", fmt.Sprint(r.Priority), "优先级为 1（最先）到 4", "the priority is 1 (first) to 4")
	}
	if r.Priority == 0 {
		r.Priority = 2
	}
	switch r.Mode {
	case "":
		r.Mode = Full
	case Full, Changes, Append:
	default:
		return problem.New(problem.Invalid, "mode-unknown", string(r.Mode), "方式只能是 full、changes 或 append", "the mode is one of full, changes, append")
	}
	switch r.Policy {
	case "":
		r.Policy = Repair
	case Repair, Refuse:
	default:
		return problem.New(problem.Invalid, "policy-unknown", string(r.Policy), "无效几何只能 repair 或 refuse", "invalid geometry is one of repair, refuse")
	}
	if r.Dataset == "" {
		if err := i.registered(ctx, "sender", r.Sender); err != nil {
			return err
		}
		return i.checkSettings(r.Settings)
	}
	if _, err := i.settings(ctx, *r); err != nil {
		return err
	}
	return i.authorize(ctx, i.pool, r)
}

// checkSettings refuses values that no dataset can have, where the dataset is not
// known yet.
func (i *Ingester) checkSettings(set Settings) error {
	switch set.Sharing {
	case "", catalog.Public, catalog.Internal, catalog.Private:
	default:
		return problem.New(problem.Invalid, "sharing-unknown", string(set.Sharing), "共享方式只能是 public、internal 或 private", "sharing is one of public, internal, private")
	}
	if set.Profile != "" && set.Profile != NoColumn {
		if _, ok := i.config.Library.Profile(set.Profile); !ok {
			return unknownProfile(set.Profile)
		}
	}
	if set.Tiles != nil {
		if err := set.Tiles.Check(); err != nil {
			return err
		}
	}
	if err := checkGrids(set.Grids); err != nil {
		return err
	}
	return checkMetadata(set.Metadata)
}

func checkGrids(grids []string) error {
	if len(grids) == 0 || len(grids) == 1 && (grids[0] == catalog.CGCS2000Quad || grids[0] == NoGrid) {
		return nil
	}
	return problem.New(problem.Invalid, "grid-unknown", strings.Join(grids, ","),
		"WebMercatorQuad 总会预先切片；此外只可要 "+catalog.CGCS2000Quad+"，"+NoGrid+" 为不再要",
		"WebMercatorQuad is always cut; beside it there is "+catalog.CGCS2000Quad+" alone, and "+NoGrid+" takes it back")
}

// authorize settles what a request that is no operator's may do with its dataset, as
// the dataset is now: a sender that does not own it may deliver and the owner
// decides, but changes no setting; a dataset that the sender may not read does not
// exist for it. It is asked when a delivery is made and again, under the dataset's
// lock, before it is loaded.
func (i *Ingester) authorize(ctx context.Context, db interface {
	QueryRow(context.Context, string, ...any) pgx.Row
}, r *Request,
) error {
	r.Foreign = false
	if r.Standing == "" {
		return nil
	}
	var owner string
	var sharing catalog.Sharing
	err := db.QueryRow(ctx, "SELECT coalesce(owner, ''), sharing FROM changde.datasets WHERE id = $1 AND release > 0", r.Dataset).Scan(&owner, &sharing)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		r.Settings.Owner = r.Sender
		return nil
	case err != nil:
		return fmt.Errorf("read owner of %s: %w", r.Dataset, err)
	case owner == r.Sender:
		if r.Settings.Owner != "" && r.Settings.Owner != owner {
			return problem.New(problem.Forbidden, "settings-forbidden", r.Dataset, "数据集的所属单位只能由平台管理单位变更", "only the platform's operators may give a dataset to another owner")
		}
		return nil
	case sharing == catalog.Private:
		return problem.New(problem.NotFound, "dataset-unknown", r.Dataset, "没有这个数据集，或不对您开放；新数据集请换一个标识", "there is no such dataset, or it is not shared with you; give a new dataset another id")
	}
	r.Foreign = true
	if !isZero(r.Settings) {
		return problem.New(problem.Forbidden, "settings-forbidden", r.Dataset, "数据集的设置只能由所属单位修改", "only the dataset's owner may change its settings")
	}
	return nil
}

// standing is what by may do, empty for an operator.
func (by Decider) standing() Standing {
	switch {
	case by.Admin:
		return ""
	case by.Approver:
		return AsApprover
	}
	return AsContributor
}

func isZero(s Settings) bool {
	data, err := json.Marshal(s)
	return err == nil && string(data) == "{}"
}

// receiving reads the state of a delivery that is being received, for its sender.
func (i *Ingester) receiving(ctx context.Context, id int64, by Decider) error {
	if i.config.Depot == nil {
		return errNoDepot
	}
	var state, sender, actor string
	err := i.pool.QueryRow(ctx, "SELECT state, coalesce(sender, ''), actor FROM changde.deliveries WHERE id = $1 AND depot", id).Scan(&state, &sender, &actor)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && !by.Admin && (!by.Contributor || by.Organisation == "" || by.Organisation != sender) {
		return ErrNoDelivery
	}
	if err != nil {
		return postgis.Fault(ctx, err, fmt.Sprintf("read delivery %d", id))
	}
	if state != StateReceiving {
		return problem.New(problem.Conflict, "delivery-submitted", fmt.Sprint(id), "交付已提交，不再接收文件；请新建交付", "the delivery was submitted and takes no more files; make another")
	}
	return nil
}

// Upload adds the bytes of body to a file of a delivery, beginning at offset, and
// returns the size reached: uploads go on from there after a break.
func (i *Ingester) Upload(ctx context.Context, id int64, name string, offset int64, body io.Reader, by Decider) (size int64, err error) {
	if err := i.receiving(ctx, id, by); err != nil {
		return 0, err
	}
	if err := i.sign(ctx, id, by); err != nil {
		return 0, err
	}
	name = fmt.Sprintf("%d/%s", id, name)
	if err := i.config.Depot.Begin(ctx, name); err != nil {
		return 0, err
	}
	return i.config.Depot.Append(ctx, name, offset, body, i.config.MaxUpload)
}

// sign adds whoever works on a delivery to those who delivered it: none of them is
// the second pair of eyes.
func (i *Ingester) sign(ctx context.Context, id int64, by Decider) error {
	_, err := i.pool.Exec(ctx, "UPDATE changde.deliveries SET actors = actors || $2::text WHERE id = $1 AND NOT $2 = ANY(actors)", id, by.Actor)
	return postgis.Fault(ctx, err, fmt.Sprintf("sign delivery %d", id))
}

// Uploaded returns how many bytes of a file have arrived.
func (i *Ingester) Uploaded(ctx context.Context, id int64, name string, by Decider) (int64, error) {
	if err := i.receiving(ctx, id, by); err != nil {
		return 0, err
	}
	return i.config.Depot.Size(ctx, fmt.Sprintf("%d/%s", id, name))
}

// UploadedFile is a file of a delivery as far as it has arrived.
type UploadedFile struct {
	File  string `json:"file"`
	Bytes int64  `json:"offset"`
}

// Files lists what has arrived of a delivery that is being received, by name.
func (i *Ingester) Files(ctx context.Context, id int64, by Decider) ([]UploadedFile, error) {
	if err := i.receiving(ctx, id, by); err != nil {
		return nil, err
	}
	entries, err := i.config.Depot.List(ctx, fmt.Sprintf("%d/", id))
	if err != nil {
		return nil, err
	}
	out := make([]UploadedFile, 0, len(entries))
	for _, e := range entries {
		_, name, _ := strings.Cut(e.Name, "/")
		out = append(out, UploadedFile{name, e.Size})
	}
	return out, nil
}

// Submit ends the upload of a delivery and hands it to the workers. Files that
// the dataset has already, or that wait for it, are refused unless repeat, or the
// request, says that they are meant.
func (i *Ingester) Submit(ctx context.Context, id int64, repeat bool, by Decider) error {
	if err := i.receiving(ctx, id, by); err != nil {
		return err
	}
	if err := i.sign(ctx, id, by); err != nil {
		return err
	}
	if i.config.Enqueue == nil {
		return errNoWorkers
	}
	entries, err := i.config.Depot.List(ctx, fmt.Sprintf("%d/", id))
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		return problem.New(problem.Invalid, "no-files", fmt.Sprint(id), "交付还没有文件，请先上传", "the delivery has no files yet; upload them first")
	}
	sums := make(map[string][]byte)
	var files []string
	var total int64
	for _, e := range entries {
		size, sum, err := i.config.Depot.Seal(ctx, e.Name)
		if err != nil {
			return err
		}
		_, file, _ := strings.Cut(e.Name, "/")
		files, total, sums[file] = append(files, file), total+size, sum
	}
	slices.Sort(files)
	err = postgis.Transact(ctx, i.pool, i.pool, func(tx pgx.Tx) error {
		var dataset *string
		var meant bool
		var priority int
		err := tx.QueryRow(ctx, `SELECT dataset, coalesce((request->>'repeat')::boolean, false), coalesce((request->>'priority')::int, 2)
			FROM changde.deliveries WHERE id = $1 AND state = 'receiving' FOR UPDATE`, id).Scan(&dataset, &meant, &priority)
		if errors.Is(err, pgx.ErrNoRows) {
			return problem.New(problem.Conflict, "delivery-submitted", fmt.Sprint(id), "交付已提交", "the delivery was submitted already")
		}
		if err != nil {
			return err
		}
		digest := combine(sums)
		if dataset != nil && !meant && !repeat {
			if err := unseen(ctx, tx, id, *dataset, digest); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, "UPDATE changde.deliveries SET state = 'received', files = $2, bytes = $3, sha256 = $4 WHERE id = $1", id, files, total, digest); err != nil {
			return err
		}
		return i.config.Enqueue(ctx, tx, Job{Delivery: id, Priority: priority})
	})
	return postgis.Fault(ctx, err, fmt.Sprintf("submit delivery %d", id))
}

// unseen refuses files that made the current release, or that wait already.
func unseen(ctx context.Context, tx pgx.Tx, id int64, dataset string, digest []byte) error {
	var earlier int64
	var state string
	err := tx.QueryRow(ctx, `SELECT v.id, v.state FROM changde.deliveries v JOIN changde.datasets d ON d.id = v.dataset
		LEFT JOIN changde.releases r ON r.dataset = d.id AND r.release = d.release
		WHERE v.dataset = $1 AND v.sha256 = $2 AND v.id <> $3
		AND (v.state IN ('received', 'inspected', 'loading', 'staged', 'checked', 'awaiting') OR v.state = 'released' AND r.delivery = v.id)
		ORDER BY v.id DESC LIMIT 1`, dataset, digest, id).Scan(&earlier, &state)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for the same files: %w", err)
	}
	return problem.New(problem.Conflict, "delivery-duplicate", fmt.Sprint(id),
		fmt.Sprintf("与交付 %d（%s）的文件完全相同；确需再次入库请以 repeat=true 提交", earlier, state),
		fmt.Sprintf("the files are those of delivery %d (%s); to load them again submit with repeat=true", earlier, state))
}

// expire removes the files of deliveries that ended long ago. They were kept so that
// a delivery can be checked again, and as evidence of what was sent.
func (i *Ingester) expire(ctx context.Context) error {
	if i.config.Depot == nil {
		return nil
	}
	rows, err := i.pool.Query(ctx, `SELECT v.id FROM changde.deliveries v WHERE v.depot AND v.parent IS NULL AND v.finished_at < now() - $1::interval
		AND NOT EXISTS (SELECT FROM changde.deliveries c WHERE c.parent = v.id AND (c.finished_at IS NULL OR c.finished_at > now() - $1::interval))
		ORDER BY v.id LIMIT 20`, i.config.KeepFiles)
	if err != nil {
		return fmt.Errorf("find files to remove: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return fmt.Errorf("find files to remove: %w", err)
	}
	for _, id := range ids {
		entries, err := i.config.Depot.List(ctx, fmt.Sprintf("%d/", id))
		for _, e := range entries {
			err = errors.Join(err, i.config.Depot.Remove(ctx, e.Name))
		}
		if err != nil {
			i.config.Log.Warn("delivered files not removed", "delivery", id, "err", err)
			continue
		}
		if _, err := i.pool.Exec(ctx, "UPDATE changde.deliveries SET depot = false WHERE id = $1 OR parent = $1", id); err != nil {
			return fmt.Errorf("remove the files of delivery %d: %w", id, err)
		}
	}
	return nil
}
