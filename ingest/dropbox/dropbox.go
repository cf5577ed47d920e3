// Package dropbox takes deliveries from places where senders leave them: a folder
// that SFTP or a file share fills, or a bucket of S3. Watch finds what is complete,
// hands each parcel over exactly once, however many watchers on however many
// machines look at the same box, and moves it to done/ with a receipt or to
// refused/ with the reason in words.
//
// A box has a folder for each sender, and in it anything:
//
//	<box>/<sender>/宗地.zip                       a file is a parcel
//	<box>/<sender>/DLTB.shp, .shx, .dbf, .prj …   files of one base name are a parcel
//	<box>/<sender>/2024年变更调查/…                a folder is a parcel
//
// docs/dropbox.md is the page for operators.
package dropbox

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path"
	"strings"
	"sync"
	"time"
	"unicode"

	"changde/problem"
)

// Box is a place with parcels. Its methods may be called at the same time, from
// any number of processes on the same place.
type Box interface {
	// Scan lists the parcels that may be claimed: the complete ones, and those
	// whose watcher has died. What can be listed is returned beside an error about
	// the rest.
	Scan(ctx context.Context) ([]Parcel, error)
	// Claim takes a scanned parcel for the caller alone and reports whether that
	// was possible; another that has it, or a parcel that is gone, is no error.
	Claim(ctx context.Context, p *Parcel) (bool, error)
	// Renew keeps a claim alive. A claim that is not renewed for Config.Lease may
	// be taken by another, and is then ErrLost here.
	Renew(ctx context.Context, p *Parcel) error
	// Release gives a claimed parcel back as it is.
	Release(ctx context.Context, p *Parcel) error
	// Fetch copies the files of a claimed parcel into the existing folder dir,
	// under their names, enters their sums in p.Files, and returns the copies'
	// paths in the order of p.Files. Files that are not what was scanned are
	// ErrChanged: the sender is still at work.
	Fetch(ctx context.Context, p *Parcel, dir string) ([]string, error)
	// Settle records what became of a claimed parcel, moves it to done/ or
	// refused/, and ends the claim. Once recorded it is carried through by another
	// watcher when this one dies.
	Settle(ctx context.Context, p *Parcel, outcome Outcome) error
}

// Errors of Box.
var (
	ErrLost    = errors.New("dropbox: the claim was taken by another watcher")
	ErrChanged = errors.New("dropbox: the parcel changed while it was read")
)

// Parcel is what a sender left as one delivery.
type Parcel struct {
	// ID names the parcel by sender, names, sizes and times of its files. It is
	// the same for each watcher and each attempt: a receiver that was cut off
	// after it had stored the delivery knows by it that it had.
	ID     string
	Sender string
	Name   string // of the file, of the main file of a set (.shp), or of the folder
	Folder bool
	Files  []File
	Rule   *Rule          // the rule that Watch found for it, nil for none
	Paths  []string       // for receive: the fetched files on this machine, in the order of Files
	Fault  *problem.Error // why it is refused unread, nil for most

	place   string   // of the claim
	sender  string   // name of the sender's folder as it is stored
	entries []string // what lies in the sender's folder, as stored: files, or the folder; and markers
	print   string   // changes whenever anything of the parcel does
	dead    string   // holder of the claim that is to be taken over
	claim   *claim
}

// File is a file of a parcel.
type File struct {
	Name     string // path below the sender's folder, slash-separated
	Size     int64
	Modified time.Time
	SHA256   []byte // once fetched

	raw  string // Name as stored, which need not be UTF-8
	mark string // changes when the content does
}

// claim is what a box remembers of a claim it gave. Renew may run beside the other
// methods.
type claim struct {
	nonce  string
	record *record // the outcome, from this watcher or the one before

	mu      sync.Mutex // for what follows
	taken   bool
	version string // S3: of the claim's object
	beat    int
}

// recorded returns the outcome of a claimed parcel, nil while there is none.
func (p *Parcel) recorded() *Outcome {
	if p.claim == nil {
		return nil
	}
	return p.claim.record.outcome()
}

// Outcome is what became of a parcel: a delivery, or the problem it has.
type Outcome struct {
	Delivery int64
	Problem  *problem.Error // nil when it was received
}

// Rule says how the parcels of a sender are to be read. Empty fields leave the
// choice to whoever plans the delivery.
type Rule struct {
	Sender   string // name of the sender's folder; empty for all
	Pattern  string // path.Match on Parcel.Name, letter case ignored; empty for all
	Dataset  string
	Profile  string
	Layer    string
	Encoding string
	CRS      string
	Invalid  string // what to do with invalid geometry
}

const maxRules = 1000

// ParseRules reads rules from a JSON array and checks them. where names it in
// problems.
func ParseRules(data []byte, where string) ([]Rule, error) {
	var rules []Rule
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&rules)
	if err == nil {
		if _, more := decoder.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("there is more after the array")
		}
	}
	if err != nil {
		return nil, problem.Wrap(err, problem.Invalid, "rules-invalid", where, "规则文件应为 JSON 数组："+err.Error(), "the rules must be a JSON array: "+err.Error())
	}
	return rules, CheckRules(rules)
}

// CheckRules tells what is wrong with rules, as a *problem.Error that names the
// first bad one, counted from 1.
func CheckRules(rules []Rule) error {
	if len(rules) > maxRules {
		return problem.New(problem.TooLarge, "dropbox-rules", "", fmt.Sprintf("收件规则最多 %d 条", maxRules), fmt.Sprintf("at most %d rules", maxRules))
	}
	for i, r := range rules {
		where := fmt.Sprintf("#%d", i+1)
		if _, err := path.Match(strings.ToLower(r.Pattern), ""); err != nil {
			return problem.New(problem.Invalid, "dropbox-rule", where,
				fmt.Sprintf("文件名式样 %q 不合规则，可用 *、? 与 [a-z]", r.Pattern), fmt.Sprintf("the pattern %q is malformed; it may have *, ? and [a-z]", r.Pattern))
		}
		for _, s := range []string{r.Sender, r.Pattern, r.Dataset, r.Profile, r.Layer, r.Encoding, r.CRS, r.Invalid} {
			if len(s) > 255 || strings.ContainsFunc(s, unicode.IsControl) {
				return problem.New(problem.Invalid, "dropbox-rule", where, "内容过长或含控制字符", "a text is too long or has control characters")
			}
		}
	}
	return nil
}

// Match returns the first rule for a parcel, nil when there is none.
func Match(rules []Rule, p Parcel) *Rule {
	for i, r := range rules {
		if r.Sender != "" && r.Sender != p.Sender {
			continue
		}
		if ok, err := path.Match(strings.ToLower(r.Pattern), strings.ToLower(p.Name)); r.Pattern != "" && (!ok || err != nil) {
			continue
		}
		return &rules[i]
	}
	return nil
}

// Config sets times and bounds. The zero value of each field means its default.
type Config struct {
	Poll     time.Duration // between two looks at the box; 30 s
	Settle   time.Duration // a parcel is complete when nothing of it changed for so long; 30 s, negative: only with a marker
	Patience time.Duration // the same for one that lacks a part, as a .shp without .dbf; 30 min
	Lease    time.Duration // a watcher that gives no sign of life for so long is dead; 3 min
	MaxFiles int           // of a parcel, all that a folder holds counted; 4,000
	MaxDepth int           // folders in folders; 8
	MaxFile  int64         // bytes of a file; 20 GiB
	MaxBytes int64         // bytes of a parcel; 64 GiB
	TempDir  string        // where parcels are copied to for receive; the system's
	Log      *slog.Logger  // nil: nothing is logged
}

const (
	maxSenders = 1000
	maxEntries = 10000 // in a sender's folder
	maxClaims  = 10000
)

func (c Config) withDefaults() Config {
	def := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	def(&c.Poll, 30*time.Second)
	def(&c.Settle, 30*time.Second)
	def(&c.Patience, 30*time.Minute)
	def(&c.Lease, 3*time.Minute)
	if c.MaxFiles <= 0 {
		c.MaxFiles = 4000
	}
	if c.MaxDepth <= 0 {
		c.MaxDepth = 8
	}
	if c.MaxFile <= 0 {
		c.MaxFile = 20 << 30
	}
	if c.MaxBytes <= 0 {
		c.MaxBytes = 64 << 30
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// digest makes a short name of texts.
func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// identify sets what follows from a parcel's files, and the fault of one that is
// beyond the bounds.
func (c Config) identify(p *Parcel) {
	id := []string{p.sender, p.Name}
	names := make(map[string]bool)
	var total int64
	for _, f := range p.Files {
		id = append(id, f.raw, fmt.Sprint(f.Size), f.mark)
		total += f.Size
		switch {
		case p.Fault != nil:
		case f.Size > c.MaxFile:
			p.Fault = tooLarge(f.Name, c.MaxFile)
		case names[f.Name]:
			p.Fault = nameProblem(f.Name, "两个文件同名（编码不同）", "two files have this name in different encodings")
		default:
			p.Fault = checkName(f.Name)
		}
		names[f.Name] = true
	}
	if p.Fault == nil && total > c.MaxBytes {
		p.Fault = tooLarge(p.Name, c.MaxBytes)
	}
	p.ID = digest(id...)
}

func tooLarge(name string, limit int64) *problem.Error {
	return problem.New(problem.TooLarge, "dropbox-size", name,
		fmt.Sprintf("超过 %.4g GiB，请压缩或分批投递", float64(limit)/(1<<30)), fmt.Sprintf("more than %.4g GiB; compress it or send it in parts", float64(limit)/(1<<30)))
}

func tooMany(name string, limit int) *problem.Error {
	return problem.New(problem.TooLarge, "dropbox-files", name,
		fmt.Sprintf("文件夹内超过 %d 项，请打成压缩包或分批投递", limit), fmt.Sprintf("the folder holds more than %d things; pack them or send them in parts", limit))
}

func tooDeep(name string, limit int) *problem.Error {
	return problem.New(problem.TooLarge, "dropbox-depth", name,
		fmt.Sprintf("文件夹嵌套超过 %d 层", limit), fmt.Sprintf("folders are nested more than %d deep", limit))
}
