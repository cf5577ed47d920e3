package dropbox

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"changde/problem"
)

const (
	receiptName = "receipt.json"
	reasonName  = "原因.txt"
	// byteOrderMark makes the editors of Windows read UTF-8.
	byteOrderMark = "\ufeff"
)

// record is what a claim keeps for whoever carries it on. Stored names are bytes:
// they need not be UTF-8.
type record struct {
	ID       string         `json:"id"`
	Sender   string         `json:"sender"`
	Name     string         `json:"name"`
	Folder   bool           `json:"folder"`
	Stored   []byte         `json:"stored"` // name of the sender's folder
	Place    string         `json:"place"`
	Print    string         `json:"print"`
	Entries  [][]byte       `json:"entries"`
	Files    []recordFile   `json:"files"`
	Delivery int64          `json:"delivery"`
	Problem  *problem.Error `json:"problem"`
	Whole    bool           `json:"whole"`  // refused unread
	Target   string         `json:"target"` // folder within done/ or refused/
	Time     time.Time      `json:"time"`
}

type recordFile struct {
	Raw      []byte    `json:"raw"`
	Name     string    `json:"name"`
	Size     int64     `json:"size"`
	Modified time.Time `json:"modified"`
	Mark     string    `json:"mark"`
	SHA256   []byte    `json:"sha256"`
}

// newRecord notes a parcel and its outcome.
func newRecord(p *Parcel, o Outcome) *record {
	now := time.Now()
	r := &record{
		ID: p.ID, Sender: p.Sender, Name: p.Name, Folder: p.Folder, Stored: []byte(p.sender), Place: p.place, Print: p.print,
		Delivery: o.Delivery, Whole: p.Fault != nil, Time: now,
		Target: now.Format("20060102-150405-") + shorten(p.Name, 120) + "-" + strings.ToLower(rand.Text()[:6]),
	}
	if o.Problem != nil {
		shown := *o.Problem
		shown.Err = nil // the cause is for our log, not for the sender
		r.Problem = &shown
	}
	for _, e := range p.entries {
		r.Entries = append(r.Entries, []byte(e))
	}
	for _, f := range p.Files {
		r.Files = append(r.Files, recordFile{[]byte(f.raw), f.Name, f.Size, f.Modified, f.mark, f.SHA256})
	}
	return r
}

// parcel returns what was noted as a parcel.
func (r *record) parcel() Parcel {
	p := Parcel{ID: r.ID, Sender: r.Sender, Name: r.Name, Folder: r.Folder, place: r.Place, sender: string(r.Stored), print: r.Print}
	if r.Whole {
		p.Fault = r.Problem
	}
	for _, e := range r.Entries {
		p.entries = append(p.entries, string(e))
	}
	for _, f := range r.Files {
		p.Files = append(p.Files, File{Name: f.Name, Size: f.Size, Modified: f.Modified, SHA256: f.SHA256, raw: string(f.Raw), mark: f.Mark})
	}
	return p
}

// outcome is nil while there is none.
func (r *record) outcome() *Outcome {
	if r == nil || r.Target == "" {
		return nil
	}
	return &Outcome{Delivery: r.Delivery, Problem: r.Problem}
}

// folder is where the parcel goes.
func (r *record) folder() string {
	if r.Problem != nil {
		return refusedName
	}
	return doneName
}

// note returns the file that goes with the parcel: a receipt for programs, or a
// reason for people.
func (r *record) note() (name string, content []byte) {
	if r.Problem != nil {
		return reasonName, []byte(r.reason())
	}
	type file struct {
		Name   string `json:"name"`
		Size   int64  `json:"size"`
		SHA256 string `json:"sha256"`
	}
	receipt := struct {
		Delivery int64     `json:"delivery"`
		Sender   string    `json:"sender"`
		Name     string    `json:"name"`
		Time     time.Time `json:"time"`
		Files    []file    `json:"files"`
	}{Delivery: r.Delivery, Sender: r.Sender, Name: r.Name, Time: r.Time.Truncate(time.Second)}
	for _, f := range r.Files {
		receipt.Files = append(receipt.Files, file{f.Name, f.Size, hex.EncodeToString(f.SHA256)})
	}
	b, err := json.MarshalIndent(receipt, "", "  ")
	if err != nil { // texts and numbers always encode
		b = fmt.Appendf(nil, `{"delivery": %d}`, r.Delivery)
	}
	return receiptName, append(b, '\n')
}

func (r *record) reason() string {
	where := r.Problem.Where
	if where == "" {
		where = r.Name
	}
	lines := []string{
		"未能收件 / Not received",
		"",
		"投递 / Parcel:  " + r.Sender + "/" + r.Name,
		"时间 / Time:    " + r.Time.Format("2006-01-02 15:04:05 -07:00"),
		"位置 / Where:   " + where,
		"代码 / Code:    " + r.Problem.Code,
		"",
		"原因：" + r.Problem.ZH,
		"Reason: " + r.Problem.EN,
		"",
		"请按上述原因修改后，重新放入 " + r.Sender + " 文件夹。本文件夹内的文件未被采用，可以删除。",
		"Mend this and put the files into the folder " + r.Sender + " again. The files beside this note were not used and may be deleted.",
		"",
	}
	return byteOrderMark + strings.Join(lines, "\r\n")
}

// shorten cuts a name to at most n bytes, between characters, and takes out what
// would not do as the name of a folder.
func shorten(name string, n int) string {
	name = strings.Map(func(c rune) rune {
		if c == '/' || c == '\\' || c < ' ' || c == '\ufffd' {
			return '_'
		}
		return c
	}, name)
	if len(name) <= n {
		return name
	}
	cut := 0
	for i := range name {
		if i > n {
			break
		}
		cut = i
	}
	return name[:cut]
}
