package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"changde/access"
)

type orgCommand struct {
	Add  orgAddCommand  `cmd:"" help:"登记单位 / add an organisation."`
	List orgListCommand `cmd:"" help:"列出单位 / list the organisations."`
}

type orgAddCommand struct {
	ID     string `arg:"" help:"标识，例如 guotu / id, such as guotu."`
	Name   string `arg:"" help:"名称，例如 市国土局 / name."`
	NameEN string `name:"name-en" help:"英文名称 / English name."`
	Admin  bool   `name:"admin" help:"平台管理单位，可见全部数据集 / operator of the platform, sees every dataset."`
}

// Run adds the organisation.
func (c *orgAddCommand) Run(ctx context.Context, s *settings, out *streams) error {
	pool, done, err := s.database(ctx, s.logger(out))
	if err != nil {
		return err
	}
	defer done()
	if err := access.NewStore(pool).AddOrganisation(ctx, access.Organisation{ID: c.ID, NameZH: c.Name, NameEN: c.NameEN, Admin: c.Admin}); err != nil {
		return err
	}
	fmt.Fprintf(out.out, "已登记 %s（%s）；签发密钥：changde key create %s / added; to create a key: changde key create %s\n", c.Name, c.ID, c.ID, c.ID)
	return nil
}

type orgListCommand struct{}

// Run lists the organisations.
func (c *orgListCommand) Run(ctx context.Context, s *settings, out *streams) error {
	pool, done, err := s.database(ctx, s.logger(out))
	if err != nil {
		return err
	}
	defer done()
	orgs, err := access.NewStore(pool).Organisations(ctx)
	if err != nil {
		return err
	}
	t := newTable(out.out)
	t.AppendHeader(table.Row{"标识 id", "名称 name", "English", "管理 admin"})
	for _, o := range orgs {
		t.AppendRow(table.Row{o.ID, o.NameZH, o.NameEN, o.Admin})
	}
	t.Render()
	return nil
}

type keyCommand struct {
	Create keyCreateCommand `cmd:"" help:"签发密钥，只显示一次 / create a key; it is shown once."`
	List   keyListCommand   `cmd:"" help:"列出单位的密钥 / list an organisation's keys."`
	Revoke keyRevokeCommand `cmd:"" help:"吊销密钥，立即生效 / revoke a key, at once."`
}

type keyCreateCommand struct {
	Organisation string        `arg:"" help:"单位标识 / organisation."`
	Label        string        `name:"label" help:"用途 / what it is for."`
	Role         string        `name:"role" default:"reader" enum:"reader,contributor,approver" help:"reader 查阅；contributor 交付、编辑；approver 另可审批 / ${enum}."`
	Valid        time.Duration `name:"valid" default:"8760h" help:"有效期，例如 720h；0 为不过期 / how long it is valid; 0 for ever."`
}

// Run prints the new key alone on standard output, so that a script can take it.
func (c *keyCreateCommand) Run(ctx context.Context, s *settings, out *streams) error {
	pool, done, err := s.database(ctx, s.logger(out))
	if err != nil {
		return err
	}
	defer done()
	var expires time.Time
	if c.Valid > 0 {
		expires = time.Now().Add(c.Valid)
	}
	plain, key, err := access.NewStore(pool).CreateKey(ctx, c.Organisation, c.Label, access.Role(c.Role), expires)
	if err != nil {
		return err
	}
	fmt.Fprintf(out.err, "密钥 %s 只显示这一次，请妥善保存 / key %s is shown this once; keep it safe\n", key.ID, key.ID)
	fmt.Fprintln(out.out, plain)
	return nil
}

type keyListCommand struct {
	Organisation string `arg:"" help:"单位标识 / organisation."`
}

// Run lists the keys without their secrets, which are not stored.
func (c *keyListCommand) Run(ctx context.Context, s *settings, out *streams) error {
	pool, done, err := s.database(ctx, s.logger(out))
	if err != nil {
		return err
	}
	defer done()
	keys, err := access.NewStore(pool).Keys(ctx, c.Organisation)
	if err != nil {
		return err
	}
	t := newTable(out.out)
	t.AppendHeader(table.Row{"密钥 key", "用途 label", "角色 role", "签发 created", "到期 expires", "吊销 revoked"})
	day := func(at *time.Time) string {
		if at == nil {
			return ""
		}
		return at.Local().Format(time.DateTime)
	}
	for _, k := range keys {
		t.AppendRow(table.Row{k.ID, k.Label, k.Role, k.CreatedAt.Local().Format(time.DateTime), day(k.ExpiresAt), day(k.RevokedAt)})
	}
	t.Render()
	return nil
}

type keyRevokeCommand struct {
	Key string `arg:"" help:"密钥标识（8 位）/ key id (8 characters)."`
}

// Run revokes the key.
func (c *keyRevokeCommand) Run(ctx context.Context, s *settings, out *streams) error {
	pool, done, err := s.database(ctx, s.logger(out))
	if err != nil {
		return err
	}
	defer done()
	if err := access.NewStore(pool).RevokeKey(ctx, c.Key); err != nil {
		return err
	}
	fmt.Fprintf(out.out, "密钥 %s 已吊销 / key revoked\n", c.Key)
	return nil
}
