package jobs

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"changde/ingest"
)

// SignatureHeader carries "t=<Unix seconds>,v1=<hex HMAC-SHA256 of "<t>.<body>">"
// under the subscriber's key.
const SignatureHeader = "Changde-Signature"

// hookTimeout bounds one call of a subscriber.
const hookTimeout = 10 * time.Second

type webhookWorker struct {
	river.WorkerDefaults[webhookArgs]
	pool   *pgxpool.Pool
	client *http.Client
}

func newWebhookWorker(pool *pgxpool.Pool) *webhookWorker {
	return &webhookWorker{pool: pool, client: &http.Client{
		Timeout: hookTimeout,
		// A subscriber names its own address: it does not send us elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Work tells one subscriber of one release. An answer that is not 2xx is tried
// again with growing pauses.
func (w *webhookWorker) Work(ctx context.Context, job *river.Job[webhookArgs]) error {
	var url string
	var key []byte
	err := w.pool.QueryRow(ctx, "SELECT h.url, s.key FROM changde.webhooks h JOIN secret.webhooks s ON s.webhook = h.id WHERE h.id = $1", job.Args.Webhook).Scan(&url, &key)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // taken away since
	}
	if err != nil {
		return fmt.Errorf("read webhook %d: %w", job.Args.Webhook, err)
	}
	body, err := json.Marshal(struct {
		Type string `json:"type"`
		ingest.Release
	}{"release", job.Args.Event})
	if err != nil {
		return fmt.Errorf("encode webhook: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return river.JobCancel(fmt.Errorf("webhook %d: %w", job.Args.Webhook, err))
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "changde-webhook")
	request.Header.Set(SignatureHeader, Sign(key, time.Now(), body))
	response, err := w.client.Do(request)
	if err != nil {
		return fmt.Errorf("webhook %d: %w", job.Args.Webhook, err)
	}
	defer response.Body.Close()
	_, _ = io.CopyN(io.Discard, response.Body, 1<<16)
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return fmt.Errorf("webhook %d answered %s", job.Args.Webhook, response.Status)
	}
	return nil
}

// Sign gives the value of SignatureHeader for a body sent at a time.
func Sign(key []byte, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}
