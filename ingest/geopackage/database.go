package geopackage

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ncruces/go-sqlite3"

	"changde/problem"
)

const (
	magic      = "SQLite format 3\x00"
	walMagic   = 0x377f0682 // the lowest bit tells the byte order of the sums
	headerSize = 100

	// patience bounds one answer of a view, whose SQL comes with the file.
	patience = 2 * time.Minute
)

// database is a delivered file opened for reading.
type database struct {
	conn  *sqlite3.Conn
	where string
	clock *clock
}

// clock ends a query when its context does or its time is up. SQLite asks Err from
// the goroutine that runs the query.
type clock struct {
	context.Context
	patience time.Duration
	until    time.Time
}

func (c *clock) Err() error {
	if err := c.Context.Err(); err != nil {
		return err
	}
	if time.Now().After(c.until) {
		return context.DeadlineExceeded
	}
	return nil
}

// wind gives the next step of a query its time.
func (d *database) wind() { d.clock.until = time.Now().Add(d.clock.patience) }

// openDatabase opens a file that nobody trusts: read only and immutable, so that
// neither locks nor files beside it are made or used, with no extensions, no attached
// databases and bounded sizes.
func openDatabase(ctx context.Context, path string) (d *database, err error) {
	where := filepath.Base(path)
	if err := checkFile(path, where); err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", where, err)
	}
	d = &database{where: where, clock: &clock{Context: ctx, patience: patience}}
	defer d.guard(&err)
	uri := url.URL{Scheme: "file", Path: abs, RawQuery: "immutable=1"}
	d.conn, err = sqlite3.OpenFlags(uri.String(), sqlite3.OPEN_READONLY|sqlite3.OPEN_URI)
	if err != nil {
		return nil, d.mend(err)
	}
	for limit, value := range map[sqlite3.LimitCategory]int{
		sqlite3.LIMIT_LENGTH:         maxCell,
		sqlite3.LIMIT_SQL_LENGTH:     1 << 20,
		sqlite3.LIMIT_COLUMN:         maxColumns + 2,
		sqlite3.LIMIT_ATTACHED:       0,
		sqlite3.LIMIT_WORKER_THREADS: 0,
		sqlite3.LIMIT_TRIGGER_DEPTH:  1,
	} {
		d.conn.Limit(limit, value)
	}
	d.wind()
	d.conn.SetInterrupt(d.clock)
	if _, err = d.conn.Config(sqlite3.DBCONFIG_DEFENSIVE, true); err == nil {
		_, err = d.conn.Config(sqlite3.DBCONFIG_ENABLE_TRIGGER, false)
	}
	if err == nil {
		// Unknown collations must not keep a table from being read.
		err = d.conn.AnyCollationNeeded()
	}
	if err == nil {
		err = d.conn.Exec(`PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA query_only = ON; PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0`)
	}
	if err != nil {
		err = d.mend(err)
		d.conn.Close()
		return nil, err
	}
	return d, nil
}

// checkFile refuses what SQLite would refuse with fewer words, and a database whose
// last changes lie in a file beside it, because those would be missed.
func checkFile(path, where string) error {
	f, err := os.Open(path)
	if err != nil {
		return problem.Wrap(err, problem.Invalid, "file-unreadable", where,
			"文件不存在或不可读，请检查路径与权限", "the file does not exist or cannot be read; check the path and its permissions")
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("stat %s: %w", where, err)
	}
	if !info.Mode().IsRegular() {
		return problem.New(problem.Invalid, "file-unreadable", where, "不是普通文件", "not a regular file")
	}
	h := make([]byte, headerSize)
	n, err := io.ReadFull(f, h)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return fmt.Errorf("read %s: %w", where, err)
	}
	switch {
	case n == 0:
		return problem.New(problem.Invalid, "geopackage-empty-file", where, "文件是空的，请重新上传", "the file is empty; send it again")
	case !strings.HasPrefix(string(h), magic):
		return problem.New(problem.Invalid, "geopackage-not-sqlite", where,
			"不是 GeoPackage：文件不是 SQLite 数据库，或已加密；请提供未加密的 .gpkg",
			"not a GeoPackage: the file is no SQLite database, or it is encrypted; send a plain .gpkg")
	case n < headerSize:
		return truncated(where)
	}
	page := int64(binary.BigEndian.Uint16(h[16:]))
	if page == 1 {
		page = 65536
	}
	// The page count is valid when the change counter is that of the count.
	pages := int64(binary.BigEndian.Uint32(h[28:]))
	if string(h[24:28]) == string(h[92:96]) && info.Size() < pages*page {
		return truncated(where)
	}
	return checkBeside(path, where)
}

func truncated(where string) error {
	return problem.New(problem.Invalid, "geopackage-truncated", where,
		"文件不完整，可能上传中断，请重新上传", "the file ends too early, perhaps the upload was cut off; send it again")
}

// checkBeside looks at the write-ahead log and the rollback journal.
func checkBeside(path, where string) error {
	head := func(suffix string, n int) []byte {
		f, err := os.Open(path + suffix)
		if err != nil {
			return nil
		}
		defer f.Close()
		b := make([]byte, n)
		if _, err := io.ReadFull(f, b); err != nil {
			return nil
		}
		return b
	}
	// a log with a header and at least one frame; a journal in use
	wal, journal := head("-wal", 56), head("-journal", 8)
	if (wal != nil && binary.BigEndian.Uint32(wal)&^1 == walMagic) || string(journal) == "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" {
		return problem.New(problem.Invalid, "geopackage-in-use", where,
			"文件旁有尚未写回的日志（-wal 或 -journal），最后的修改不在文件内；请先在 QGIS 等程序中关闭该文件再交付",
			"changes that are not yet in the file lie in the -wal or -journal beside it; close the file in QGIS or whichever program has it open, then deliver it")
	}
	return nil
}

func (d *database) Close() (err error) {
	defer d.guard(&err)
	return d.conn.Close()
}

// guard turns a panic of the SQLite driver, which is how it reports that a database
// wants more memory than a connection may have, into an error.
func (d *database) guard(err *error) {
	switch r := recover().(type) {
	case nil:
	case error:
		*err = problem.Wrap(r, problem.TooLarge, "geopackage-memory", d.where,
			"读取该数据库所需内存超过上限，文件可能已损坏", "reading the database needs more memory than allowed; the file may be corrupt")
	default:
		panic(r)
	}
}

// mend turns an error of SQLite into a problem.
func (d *database) mend(err error) error {
	p, ok := errors.AsType[*problem.Error](err)
	switch {
	case err == nil:
		return nil
	case ok:
		return p
	case errors.Is(err, sqlite3.INTERRUPT):
		if cause := d.clock.Context.Err(); cause != nil {
			return fmt.Errorf("read %s: %w", d.where, cause)
		}
		return problem.Wrap(err, problem.TooLarge, "geopackage-time", d.where,
			fmt.Sprintf("数据库 %s 内没有给出下一行，其视图可能过于复杂；请把视图导出为表", patience), fmt.Sprintf("the database gave no row within %s, perhaps a view is too complex; export the view as a table", patience))
	case errors.Is(err, sqlite3.NOTADB):
		return problem.Wrap(err, problem.Invalid, "geopackage-not-sqlite", d.where,
			"不是 SQLite 数据库，或已加密；请提供未加密的 .gpkg", "no SQLite database, or encrypted; send a plain .gpkg")
	case errors.Is(err, sqlite3.CORRUPT), errors.Is(err, sqlite3.FORMAT),
		// without a cause of the operating system: a page that is not there, a sum that does not match
		errors.Is(err, sqlite3.IOERR) && errors.Unwrap(err) == nil:
		return problem.Wrap(err, problem.Invalid, "geopackage-corrupt", d.where,
			"数据库已损坏或不完整，请用 ogr2ogr 或 QGIS 重新导出", "the database is corrupt or incomplete; export it again with ogr2ogr or QGIS")
	case errors.Is(err, sqlite3.TOOBIG):
		return problem.Wrap(err, problem.TooLarge, "geopackage-cell-size", d.where,
			fmt.Sprintf("一行超过 %d MiB", maxCell>>20), fmt.Sprintf("a row is larger than %d MiB", maxCell>>20))
	case errors.Is(err, sqlite3.ERROR), errors.Is(err, sqlite3.AUTH), errors.Is(err, sqlite3.SCHEMA):
		return problem.Wrap(err, problem.Invalid, "geopackage-sql", d.where,
			fmt.Sprintf("数据库结构无法读取（%s）；视图引用的表或函数可能不存在，请导出为普通表", cleanMessage(err)),
			fmt.Sprintf("the structure of the database cannot be read (%s); a view may use a table or function that does not exist: export it as a table", cleanMessage(err)))
	}
	return fmt.Errorf("read %s: %w", d.where, err)
}

// cleanMessage shortens a text of SQLite, which may quote the file.
func cleanMessage(err error) string {
	s := strings.ToValidUTF8(err.Error(), "\uFFFD")
	if r := []rune(s); len(r) > 200 {
		s = string(r[:200]) + "…"
	}
	return s
}

// query calls row for each row of a statement with text parameters, until row returns
// an error.
func (d *database) query(sql string, params []string, row func(s *sqlite3.Stmt) error) (err error) {
	defer d.guard(&err)
	d.wind()
	s, _, err := d.conn.Prepare(sql)
	if err != nil {
		return d.mend(err)
	}
	defer s.Close()
	for i, p := range params {
		if err := s.BindText(i+1, p); err != nil {
			return d.mend(err)
		}
	}
	for s.Step() {
		if err := row(s); err != nil {
			return err
		}
		d.wind()
	}
	return d.mend(s.Err())
}

// quote makes an SQL identifier of a name.
func quote(name string) string {
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}
