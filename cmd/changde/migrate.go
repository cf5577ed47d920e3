package main

import (
	"context"
	"fmt"
)

type migrateCommand struct{}

// Run brings the schema up to date.
func (c *migrateCommand) Run(ctx context.Context, s *settings, out *streams) error {
	_, done, err := s.database(ctx, s.logger(out))
	if err != nil {
		return err
	}
	done()
	fmt.Fprintln(out.out, "数据库结构已是最新 / the schema is up to date")
	return nil
}
