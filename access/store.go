package access

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"changde/postgis"
	"changde/problem"
)

// The bounds.
const (
	maxName     = 200 // runes of a name or a label
	maxLiveKeys = 100 // keys of one organisation that are neither revoked nor expired
	maxListed   = 1000
	// maxKeyYears keeps an expiry from being a way to write "never" that nobody notices.
	maxKeyYears = 10
)

const uniqueViolation = "23505" // SQLSTATE

var organisationID = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)

// Organisation owns datasets, declares projects and holds keys.
type Organisation struct {
	ID        string // ^[a-z][a-z0-9_-]{0,62}$
	NameZH    string
	NameEN    string // may be empty
	Admin     bool   // administers the platform: reads every dataset, declares projects for others
	CreatedAt time.Time
}

// Key is what is known of a key; the key itself is not kept.
type Key struct {
	ID           string
	Organisation string
	Label        string
	Role         Role
	CreatedAt    time.Time
	ExpiresAt    *time.Time // nil: never
	RevokedAt    *time.Time // nil: not revoked
}

// Store keeps organisations and keys in PostgreSQL. It is safe for many
// goroutines.
type Store struct{ pool *pgxpool.Pool }

// NewStore makes a Store. Authenticate and the lists need the right to read
// changde.organisations and changde.keys; the rest the right to write them,
// which the role of the server has not.
func NewStore(pool *pgxpool.Pool) *Store { return &Store{pool: pool} }

// Authenticate tells whose key it is. It asks the database each time, by primary
// key, so that a revocation counts from the next request on. The database's
// clock decides what has expired.
//
// A key that is unknown, mistyped, expired or revoked is problem.Unauthenticated,
// with one text for all of them.
func (s *Store) Authenticate(ctx context.Context, key string) (Principal, error) {
	id, ok := parseKey(key)
	if !ok {
		return Principal{}, unauthenticated()
	}
	p := Principal{KeyID: id}
	var hash []byte
	var live bool
	err := s.pool.QueryRow(ctx, `
		SELECT o.id, o.name_zh, o.name_en, o.admin, k.role, k.hash,
		       k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > clock_timestamp())
		FROM changde.keys k JOIN changde.organisations o ON o.id = k.organisation
		WHERE k.id = $1`, id).Scan(&p.Organisation, &p.NameZH, &p.NameEN, &p.Admin, &p.Role, &hash, &live)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Principal{}, unauthenticated()
	case err != nil:
		return Principal{}, postgis.Fault(ctx, err, "look up key "+id)
	}
	if subtle.ConstantTimeCompare(hash, hashKey(key)) != 1 || !live {
		return Principal{}, unauthenticated()
	}
	return p, nil
}

// AddOrganisation registers an organisation; CreatedAt is not looked at. An id
// or name of the wrong form is problem.Invalid, an id that is taken
// problem.Conflict.
func (s *Store) AddOrganisation(ctx context.Context, o Organisation) error {
	if err := checkOrganisation(o.ID); err != nil {
		return err
	}
	if err := checkName("nameZh", o.NameZH, false); err != nil {
		return err
	}
	if err := checkName("nameEn", o.NameEN, true); err != nil {
		return err
	}
	_, err := s.pool.Exec(ctx, `INSERT INTO changde.organisations (id, name_zh, name_en, admin) VALUES ($1, $2, $3, $4)`,
		o.ID, o.NameZH, o.NameEN, o.Admin)
	if violates(err, uniqueViolation) {
		return problem.Wrap(err, problem.Conflict, "organisation-exists", o.ID,
			"该单位编号已登记", "an organisation with this id is registered already")
	}
	if err != nil {
		return fmt.Errorf("add organisation %s: %w", o.ID, err)
	}
	return nil
}

// Organisations returns all organisations by id, at most 1,000.
func (s *Store) Organisations(ctx context.Context) ([]Organisation, error) {
	rows, err := s.pool.Query(ctx, `SELECT id, name_zh, name_en, admin, created_at FROM changde.organisations ORDER BY id COLLATE "C" LIMIT $1`, maxListed)
	if err != nil {
		return nil, fmt.Errorf("list organisations: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Organisation])
	if err != nil {
		return nil, fmt.Errorf("list organisations: %w", err)
	}
	return list, nil
}

// AsOrganisation is who asks with a reader's key of the organisation. One that is not
// registered is problem.NotFound.
func (s *Store) AsOrganisation(ctx context.Context, id string) (Principal, error) {
	if err := checkOrganisation(id); err != nil {
		return Principal{}, err
	}
	p := Principal{Organisation: id, Role: Reader}
	err := s.pool.QueryRow(ctx, `SELECT name_zh, name_en, admin FROM changde.organisations WHERE id = $1`, id).Scan(&p.NameZH, &p.NameEN, &p.Admin)
	if errors.Is(err, pgx.ErrNoRows) {
		return Principal{}, unknownOrganisation(id)
	}
	if err != nil {
		return Principal{}, fmt.Errorf("look up organisation %s: %w", id, err)
	}
	return p, nil
}

// AsKey is who asks with the key of that id, without the key. It is not for callers
// who must prove themselves. A key that is unknown, expired or revoked is
// problem.NotFound.
func (s *Store) AsKey(ctx context.Context, id string) (Principal, error) {
	if err := checkKeyID(id); err != nil {
		return Principal{}, err
	}
	p := Principal{KeyID: id}
	err := s.pool.QueryRow(ctx, `
		SELECT o.id, o.name_zh, o.name_en, o.admin, k.role
		FROM changde.keys k JOIN changde.organisations o ON o.id = k.organisation
		WHERE k.id = $1 AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > clock_timestamp())`, id).
		Scan(&p.Organisation, &p.NameZH, &p.NameEN, &p.Admin, &p.Role)
	if errors.Is(err, pgx.ErrNoRows) {
		return Principal{}, problem.New(problem.NotFound, "key-unknown", id, "没有这把密钥，或它已吊销、过期", "there is no such key, or it is revoked or expired")
	}
	if err != nil {
		return Principal{}, fmt.Errorf("look up key %s: %w", id, err)
	}
	return p, nil
}

// CreateKey makes a key of the organisation. plain is the key itself, which is
// given out this once and kept nowhere. expires is when it ends, at most ten
// years on; the zero time is never.
//
// An organisation that is not registered is problem.NotFound; one with 100 live
// keys is problem.Conflict.
func (s *Store) CreateKey(ctx context.Context, org, label string, role Role, expires time.Time) (plain string, key Key, err error) {
	if err := checkOrganisation(org); err != nil {
		return "", Key{}, err
	}
	if err := checkName("label", label, true); err != nil {
		return "", Key{}, err
	}
	if !role.Valid() {
		return "", Key{}, problem.New(problem.Invalid, "key-role", string(role), "密钥角色只能是 reader、contributor 或 approver", "the role of a key is one of reader, contributor, approver")
	}
	var until *time.Time
	if !expires.IsZero() {
		if now := time.Now(); !expires.After(now) || expires.After(now.AddDate(maxKeyYears, 0, 1)) {
			return "", Key{}, problem.New(problem.Invalid, "key-expiry", "expires",
				fmt.Sprintf("密钥的失效时间必须在今后 %d 年之内；不填为长期有效", maxKeyYears),
				fmt.Sprintf("a key expires within the next %d years; leave the time out for one that does not expire", maxKeyYears))
		}
		until = &expires
	}
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if err := lockWithRoom(ctx, tx, org); err != nil {
			return err
		}
		var id string
		plain, id = newKey()
		key = Key{ID: id, Organisation: org, Label: label, Role: role}
		return tx.QueryRow(ctx, `
			INSERT INTO changde.keys (id, organisation, label, role, hash, expires_at) VALUES ($1, $2, $3, $4, $5, $6)
			RETURNING created_at, expires_at`, id, org, label, string(role), hashKey(plain), until).Scan(&key.CreatedAt, &key.ExpiresAt)
	})
	if violates(err, uniqueViolation) {
		return "", Key{}, problem.Wrap(err, problem.Busy, "key-id-taken", org,
			"随机生成的密钥编号恰好已被占用；请再试一次", "the random id of the key is taken by chance; try again")
	}
	if err != nil {
		return "", Key{}, fmt.Errorf("create a key of %s: %w", org, err)
	}
	return plain, key, nil
}

// lockWithRoom holds the organisation until the transaction ends, so that two
// callers do not both see room for one more key.
func lockWithRoom(ctx context.Context, tx pgx.Tx, org string) error {
	err := tx.QueryRow(ctx, `SELECT id FROM changde.organisations WHERE id = $1 FOR NO KEY UPDATE`, org).Scan(&org)
	if errors.Is(err, pgx.ErrNoRows) {
		return unknownOrganisation(org)
	}
	if err != nil {
		return err
	}
	var live int
	if err := tx.QueryRow(ctx, `
		SELECT count(*) FROM changde.keys
		WHERE organisation = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())`, org).Scan(&live); err != nil {
		return err
	}
	if live >= maxLiveKeys {
		return problem.New(problem.Conflict, "keys-too-many", org,
			fmt.Sprintf("该单位已有 %d 把有效密钥，达到上限；请先吊销不用的密钥", live),
			fmt.Sprintf("the organisation has %d live keys, which is the most allowed; revoke some first", live))
	}
	return nil
}

// Keys returns the keys of an organisation, the live and the dead, newest first,
// at most 1,000. An organisation that is not registered is problem.NotFound.
func (s *Store) Keys(ctx context.Context, org string) ([]Key, error) {
	if err := checkOrganisation(org); err != nil {
		return nil, err
	}
	var exists bool
	if err := s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM changde.organisations WHERE id = $1)`, org).Scan(&exists); err != nil {
		return nil, fmt.Errorf("list the keys of %s: %w", org, err)
	}
	if !exists {
		return nil, unknownOrganisation(org)
	}
	rows, err := s.pool.Query(ctx, `
		SELECT id, organisation, label, role, created_at, expires_at, revoked_at FROM changde.keys
		WHERE organisation = $1 ORDER BY created_at DESC, id LIMIT $2`, org, maxListed)
	if err != nil {
		return nil, fmt.Errorf("list the keys of %s: %w", org, err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Key])
	if err != nil {
		return nil, fmt.Errorf("list the keys of %s: %w", org, err)
	}
	return list, nil
}

// RevokeKey ends a key for ever, from the next request on. To revoke it again
// changes nothing. An id that names no key is problem.NotFound.
func (s *Store) RevokeKey(ctx context.Context, id string) error {
	if err := checkKeyID(id); err != nil {
		return err
	}
	tag, err := s.pool.Exec(ctx, `UPDATE changde.keys SET revoked_at = coalesce(revoked_at, clock_timestamp()) WHERE id = $1`, id)
	if err != nil {
		return fmt.Errorf("revoke key %s: %w", id, err)
	}
	if tag.RowsAffected() == 0 {
		return problem.New(problem.NotFound, "key-unknown", id, "没有这把密钥", "there is no such key")
	}
	return nil
}

func checkKeyID(id string) error {
	if !validKeyID(id) {
		return problem.New(problem.Invalid, "key-id", "id",
			"密钥编号为 8 位小写字母和数字；请用编号而不是密钥本身", "the id of a key is 8 lower-case letters and digits; give the id, not the key")
	}
	return nil
}

func checkOrganisation(id string) error {
	if !organisationID.MatchString(id) {
		return problem.New(problem.Invalid, "organisation-id", "id",
			"单位编号须以小写字母开头，由小写字母、数字、“_”“-”组成，最长 63 个字符",
			"the id of an organisation begins with a lower-case letter and has lower-case letters, digits, _ and -, at most 63")
	}
	return nil
}

func unknownOrganisation(id string) error {
	return problem.New(problem.NotFound, "organisation-unknown", id,
		"该单位未登记", "no organisation with this id is registered")
}

// checkName takes one line of printable text.
func checkName(where, s string, mayBeEmpty bool) error {
	switch {
	case strings.TrimSpace(s) == "" && (!mayBeEmpty || s != ""):
		return problem.New(problem.Invalid, "name-empty", where, "不能为空", "must not be empty")
	case len(s) > maxName*utf8.UTFMax || utf8.RuneCountInString(s) > maxName:
		return problem.New(problem.TooLarge, "name-long", where,
			fmt.Sprintf("最长 %d 个字", maxName), fmt.Sprintf("at most %d characters", maxName))
	case !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl):
		return problem.New(problem.Invalid, "name-characters", where,
			"只能是一行可打印的 UTF-8 文字", "must be one line of printable UTF-8")
	}
	return nil
}

func violates(err error, code string) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == code
}
