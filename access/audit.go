package access

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Act is something that was done, for the audit, which is only added to.
type Act struct {
	Actor        string // a key's id, or a login of the console
	Organisation string
	Action       string         // deliver, approve, rollback, edit, ...
	Object       string         // "dataset:dltb", "delivery:12"
	Detail       map[string]any // no secrets
}

// Record writes the act in the transaction that does it.
func (a Act) Record(ctx context.Context, tx pgx.Tx) error {
	detail := a.Detail
	if detail == nil {
		detail = map[string]any{}
	}
	data, err := json.Marshal(detail)
	if err != nil {
		return fmt.Errorf("audit %s: %w", a.Action, err)
	}
	_, err = tx.Exec(ctx, "INSERT INTO changde.audit (actor, organisation, action, object, detail) VALUES ($1, $2, $3, $4, $5)",
		a.Actor, a.Organisation, a.Action, a.Object, data)
	if err != nil {
		return fmt.Errorf("audit %s: %w", a.Action, err)
	}
	return nil
}
