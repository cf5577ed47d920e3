package postgis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"changde/problem"
)

// Config says how to reach the database. Only URL is required.
type Config struct {
	// URL is a libpq connection URI or keyword/value string.
	URL string
	// Role is taken on by SET ROLE on each connection when it exists and the
	// login is a member of it; otherwise the connection keeps the rights of its
	// own login. Empty: none.
	Role string
	// StatementTimeout ends a statement that runs longer. 0: no limit.
	StatementTimeout time.Duration
	// MaxConns bounds the pool. 0: pgxpool's own default, the greater of 4 and
	// the number of processors, or what the URL says (pool_max_conns).
	MaxConns int32
	// ApplicationName is shown in pg_stat_activity. Empty: "changde".
	ApplicationName string
}

// connectTimeout bounds one attempt to connect when the URL names no other.
const connectTimeout = 10 * time.Second

// geometryTypes finds the types of PostGIS in whatever schema it lives in.
const geometryTypes = `
SELECT t.typname, t.oid, t.typarray
FROM pg_extension e
JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
               AND d.classid = 'pg_type'::regclass AND d.deptype = 'e'
JOIN pg_type t ON t.oid = d.objid
WHERE e.extname = 'postgis' AND t.typname IN ('geometry', 'geography')`

// Open makes a pool and sees that the database answers and can have PostGIS.
// On its connections geometry and geography pass as EWKB in []byte, in binary,
// as parameters, in COPY and in Scan; their arrays as [][]byte. The extension
// itself may be created later: a connection that met a database without it looks
// again when it is next taken from the pool.
//
// A URL that cannot be read, a database that does not answer and a server
// without PostGIS are a *problem.Error. The caller closes the pool.
func Open(ctx context.Context, c Config) (*pgxpool.Pool, error) {
	cfg, err := poolConfig(c)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("make the pool: %w", err)
	}
	if err := probe(ctx, pool); err != nil {
		pool.Close()
		return nil, err
	}
	return pool, nil
}

func poolConfig(c Config) (*pgxpool.Config, error) {
	cfg, err := pgxpool.ParseConfig(c.URL)
	if err != nil {
		// pgx names the fault without the password.
		return nil, problem.Wrap(err, problem.Invalid, "database-url", "DATABASE_URL",
			"数据库地址无法解析；格式如 postgres://用户:口令@主机:5432/数据库",
			"the database address cannot be read; write it like postgres://user:password@host:5432/database")
	}
	if c.MaxConns > 0 {
		cfg.MaxConns = c.MaxConns
	}
	cc := cfg.ConnConfig
	if cc.ConnectTimeout == 0 {
		cc.ConnectTimeout = connectTimeout
	}
	switch {
	case c.ApplicationName != "":
		cc.RuntimeParams["application_name"] = c.ApplicationName
	case cc.RuntimeParams["application_name"] == "":
		cc.RuntimeParams["application_name"] = "changde"
	}
	if c.StatementTimeout > 0 {
		ms := max(1, c.StatementTimeout.Milliseconds())
		cc.RuntimeParams["statement_timeout"] = strconv.FormatInt(ms, 10)
	}
	cfg.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		if err := register(ctx, conn); err != nil {
			return err
		}
		return setRole(ctx, conn, c.Role)
	}
	cfg.PrepareConn = func(ctx context.Context, conn *pgx.Conn) (bool, error) {
		if _, ok := conn.TypeMap().TypeForName("geometry"); ok {
			return true, nil
		}
		if err := register(ctx, conn); err != nil {
			return false, err
		}
		return true, nil
	}
	return cfg, nil
}

// register makes geometry and geography pass as bytes on the connection.
// Without the extension it does nothing.
func register(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, geometryTypes)
	if err != nil {
		return fmt.Errorf("look for the types of PostGIS: %w", err)
	}
	var name string
	var oid, array uint32
	_, err = pgx.ForEachRow(rows, []any{&name, &oid, &array}, func() error {
		t := &pgtype.Type{Name: name, OID: oid, Codec: pgtype.ByteaCodec{}}
		m := conn.TypeMap()
		m.RegisterType(t)
		m.RegisterType(&pgtype.Type{Name: "_" + name, OID: array, Codec: &pgtype.ArrayCodec{ElementType: t}})
		return nil
	})
	if err != nil {
		return fmt.Errorf("look for the types of PostGIS: %w", err)
	}
	return nil
}

func setRole(ctx context.Context, conn *pgx.Conn, role string) error {
	if role == "" {
		return nil
	}
	const sql = `SELECT coalesce((SELECT pg_has_role(oid, 'MEMBER') FROM pg_roles WHERE rolname = $1), false)`
	var may bool
	if err := conn.QueryRow(ctx, sql, role).Scan(&may); err != nil {
		return fmt.Errorf("look for the role %s: %w", role, err)
	}
	if !may {
		return nil
	}
	if _, err := conn.Exec(ctx, `SELECT set_config('role', $1, false)`, role); err != nil {
		return fmt.Errorf("take on the role %s: %w", role, err)
	}
	return nil
}

func probe(ctx context.Context, pool *pgxpool.Pool) error {
	cc := pool.Config().ConnConfig
	where := net.JoinHostPort(cc.Host, strconv.Itoa(int(cc.Port))) + "/" + cc.Database
	var available bool
	err := pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'postgis')`).Scan(&available)
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("connect to the database: %w", err)
		}
		return unreachable(err, where)
	}
	if !available {
		return problem.New(problem.Unsupported, "postgis-missing", where,
			"数据库服务器没有安装 PostGIS；在服务器上安装，例如 sudo apt-get install postgresql-postgis",
			"the database server has no PostGIS; install it there, for example sudo apt-get install postgresql-postgis")
	}
	return nil
}

func unreachable(err error, where string) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code {
		case "28000", "28P01":
			return problem.Wrap(err, problem.Invalid, "database-login", where,
				"数据库拒绝了用户名或口令；请检查 DATABASE_URL",
				"the database refused the user name or the password; check DATABASE_URL")
		case "3D000":
			return problem.Wrap(err, problem.Invalid, "database-unknown", where,
				"数据库不存在；请先用 createdb 建立，或检查 DATABASE_URL",
				"the database does not exist; make it with createdb, or check DATABASE_URL")
		case "53300":
			return problem.Wrap(err, problem.Busy, "database-full", where,
				"数据库连接数已满；请稍后重试，或调大 max_connections",
				"the database has no connection free; try again later, or raise max_connections")
		}
	}
	return problem.Wrap(err, problem.Busy, "database-unreachable", where,
		"数据库没有应答；请确认服务器已启动且地址正确",
		"the database does not answer; see that the server runs and the address is right")
}
