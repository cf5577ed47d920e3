package postgis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"changde/problem"
)

// Fault gives an error of a statement the form that callers are promised: what
// passes by itself (a time limit, a lock, a database that is away, a release
// replaced meanwhile) is problem.Busy; a problem stays what it is; the cause of
// a context that ended is passed on; anything else is the platform's own fault,
// with what it was doing. Nil stays nil.
func Fault(ctx context.Context, err error, doing string) error {
	var p *problem.Error
	if err == nil || errors.As(err, &p) {
		return err
	}
	busy := func(code, zh, en string) error { return problem.Wrap(err, problem.Busy, code, "", zh, en) }
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", doing, context.Cause(ctx))
	}
	var pg *pgconn.PgError
	switch {
	case !errors.As(err, &pg):
		if away(err) {
			return busy("database-away", "数据库暂不可用，请稍后重试", "the database is not available at the moment; try again later")
		}
	case pg.Code == "57014": // query_canceled: the statement timeout
		return busy("query-too-slow", "操作超过时限，没有任何改动；请缩小范围或减少内容，或稍后重试", "this took longer than is allowed and changed nothing; narrow it or ask for less, or try again later")
	case pg.Code == "55P03", pg.Code == "40P01", pg.Code == "40001": // lock_not_available, deadlock_detected, serialization_failure
		return busy("datasets-busy", "数据正被其他操作占用，没有任何改动；请稍后重试", "another change is under way and nothing was changed; try again later")
	case pg.Code == "42P01": // undefined_table: a content dropped since the snapshot was read
		return busy("release-replaced", "数据集刚刚发布了其他版本；请从头再读", "other releases of the dataset were made just then; read again from the start")
	case pg.Code == "53100": // disk_full
		return busy("disk-full", "数据库所在磁盘已满，没有任何改动；请清理空间后重试", "the database's disk is full and nothing was changed; make room and try again")
	case pg.Code == "22021", pg.Code == "22P05": // a text that PostgreSQL cannot hold
		return problem.Wrap(err, problem.Invalid, "text-invalid", "", "文字含有数据库不能保存的字符（如 NUL）", "a text has a character that the database cannot hold, such as NUL")
	case strings.HasPrefix(pg.Code, "54"): // program_limit_exceeded
		return problem.Wrap(err, problem.TooLarge, "value-large", "", "有一个值超过数据库的上限", "a value is beyond a bound of the database")
	case strings.HasPrefix(pg.Code, "57P"), strings.HasPrefix(pg.Code, "08"), pg.Code == "53300": // shutting down, connection lost, too many connections
		return busy("database-away", "数据库暂不可用，请稍后重试", "the database is not available at the moment; try again later")
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// away reports whether err says that the database cannot be reached.
func away(err error) bool {
	var connect *pgconn.ConnectError
	var network *net.OpError
	return errors.As(err, &connect) || errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) ||
		errors.Is(err, net.ErrClosed) || pgconn.SafeToRetry(err)
}
