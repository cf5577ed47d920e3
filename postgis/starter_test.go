package postgis_test

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"changde/postgis"
)

// runStarter starts the cluster, commits one row and waits to be killed. A
// second connection is left in the middle of a transaction.
func runStarter(dir string) {
	ctx := context.Background()
	err := func() error {
		c, err := postgis.StartCluster(ctx, postgis.ClusterConfig{Dir: dir, Durable: true})
		if err != nil {
			return err
		}
		conn, err := pgx.Connect(ctx, c.URL())
		if err != nil {
			return err
		}
		_, err = conn.Exec(ctx, `CREATE TABLE IF NOT EXISTS kept (n serial); INSERT INTO kept DEFAULT VALUES`)
		if err != nil {
			return err
		}
		if _, err := conn.Exec(ctx, `BEGIN; INSERT INTO kept DEFAULT VALUES`); err != nil {
			return err
		}
		go conn.Exec(ctx, `SELECT count(*) FROM generate_series(1, 1e12::bigint)`) // busy until killed
		time.Sleep(50 * time.Millisecond)
		return nil
	}()
	fmt.Println("ready", err)
	select {}
}
