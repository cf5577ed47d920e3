// Package s3 reaches buckets of S3: the form in which settings name a place in one,
// the keys it is reached with, and the requests that several packages make alike.
//
// What is wrong in a setting is a *problem.Error. What a service answers is passed on
// as the client has it. No error contains credentials.
package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7"
)

// Bucket is a place in S3: a connected client, a bucket, and a prefix of keys that
// is empty or ends in a slash. The keys of the methods are whole, prefix included.
type Bucket struct {
	Client *minio.Client
	Name   string
	Prefix string
}

// Core gives the client's plain requests.
func (b Bucket) Core() minio.Core { return minio.Core{Client: b.Client} }

// Config is how a bucket is reached.
type Config struct {
	Credentials Credentials
	Transport   http.RoundTripper // nil for the client's own
	Retries     int               // attempts of a request; default 4
}

const defaultRetries = 4

// Credentials are the access keys. Printing or logging them shows nothing.
type Credentials struct {
	AccessKey    string // AWS_ACCESS_KEY_ID
	SecretKey    string // AWS_SECRET_ACCESS_KEY
	SessionToken string // AWS_SESSION_TOKEN, where keys are temporary
}

// Format keeps the keys out of every fmt verb and of slog.
func (Credentials) Format(f fmt.State, _ rune) { io.WriteString(f, "Credentials(***)") }

// MarshalText keeps the keys out of JSON and other encodings.
func (Credentials) MarshalText() ([]byte, error) { return []byte("***"), nil }

// List lists the objects whose keys begin with prefix: all, or those of one level,
// where folders end in a slash. The listing ends with the loop, or with an error.
func (b Bucket) List(ctx context.Context, prefix string, all bool) iter.Seq2[minio.ObjectInfo, error] {
	return func(yield func(minio.ObjectInfo, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		for info := range b.Client.ListObjectsIter(ctx, b.Name, minio.ListObjectsOptions{Prefix: prefix, Recursive: all}) {
			if !yield(info, info.Err) || info.Err != nil {
				return
			}
		}
	}
}

// Put writes one object in one request. The service compares the sum, which makes
// the client's own way of signing chunks needless; not all services read that.
func (b Bucket) Put(ctx context.Context, key string, content []byte, opts minio.PutObjectOptions) (etag string, err error) {
	sum := sha256.Sum256(content)
	opts.DisableContentSha256 = true
	info, err := b.Core().PutObject(ctx, b.Name, key, bytes.NewReader(content), int64(len(content)), "", hex.EncodeToString(sum[:]), opts)
	return info.ETag, err
}

// Remove deletes an object. It is no error when there is none.
func (b Bucket) Remove(ctx context.Context, key string) error {
	return b.Client.RemoveObject(ctx, b.Name, key, minio.RemoveObjectOptions{})
}

// KeepsConditions reports whether the service refuses puts whose condition (If-Match,
// If-None-Match) does not hold. It tries with an object whose key begins with probe.
func (b Bucket) KeepsConditions(ctx context.Context, probe string) (bool, error) {
	key := probe + rand.Text()
	if _, err := b.Put(ctx, key, []byte("probe"), minio.PutObjectOptions{}); err != nil {
		return false, err
	}
	var ifNew, ifSame minio.PutObjectOptions
	ifNew.SetMatchETagExcept("*")
	ifSame.SetMatchETag(strings.Repeat("0", 32))
	_, errNew := b.Put(ctx, key, []byte("probe"), ifNew)
	_, errSame := b.Put(ctx, key, []byte("probe"), ifSame)
	if err := b.Remove(ctx, key); err != nil {
		return false, err
	}
	for _, err := range []error{errNew, errSame} {
		if err == nil {
			return false, nil
		}
		if !IsConflict(err) {
			return false, err
		}
	}
	return true, nil
}

// IsMissing reports whether a request failed because there is no such object.
func IsMissing(err error) bool {
	r := minio.ToErrorResponse(err)
	return r.Code == "NoSuchKey" || r.StatusCode == http.StatusNotFound && r.Code != "NoSuchBucket" && r.Code != "NoSuchUpload"
}

// IsConflict reports whether a request failed because its condition does not hold.
func IsConflict(err error) bool {
	r := minio.ToErrorResponse(err)
	return r.StatusCode == http.StatusPreconditionFailed || r.StatusCode == http.StatusConflict || r.Code == "PreconditionFailed"
}

// IsNoUpload reports whether a request failed because there is no such upload in
// parts.
func IsNoUpload(err error) bool { return minio.ToErrorResponse(err).Code == "NoSuchUpload" }
