// Package s3test gives tests a bucket of S3: on a server in the test's own process, or
// on the one that the environment names.
package s3test

import (
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/minio/minio-go/v7"

	"changde/s3"
)

// Real names, in the environment, a server of S3 (host:port, such as MinIO), whose
// keys are those of Keys.
const Real = "TEST_S3_ENDPOINT"

// Name is the bucket of tests.
const Name = "shoujian"

// Keys are the credentials of tests.
func Keys() s3.Credentials {
	return s3.Credentials{AccessKey: "key", SecretKey: "secret-of-the-test"}
}

// Memory starts a server for the length of a test, with the bucket Name, and returns
// its endpoint. It checks no signatures. hook may be nil; it sees each request and may
// answer in the server's place by returning true.
func Memory(t testing.TB, hook func(http.ResponseWriter, *http.Request) bool) (endpoint string) {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket(Name); err != nil {
		t.Fatal(err)
	}
	inner := gofakes3.New(backend, gofakes3.WithLogger(gofakes3.DiscardLog())).Server()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if hook == nil || !hook(w, r) {
			inner.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// Address is a place of the test's own, on the server that Real names or, where it
// names none or hook is not nil, in memory.
func Address(t testing.TB, hook func(http.ResponseWriter, *http.Request) bool) string {
	t.Helper()
	address := func(endpoint string) string {
		return "s3://" + Name + "/常德 " + rand.Text() + "?region=cn-north-1&endpoint=" + endpoint
	}
	endpoint := os.Getenv(Real)
	if endpoint == "" || hook != nil {
		return address(Memory(t, hook))
	}
	b, err := s3.Connect(address("http://"+endpoint), s3.Config{Credentials: Keys()})
	if err != nil {
		t.Fatal(err)
	}
	MakeBucket(t, b)
	return address("http://" + endpoint)
}

// MakeBucket makes a bucket that may be there.
func MakeBucket(t testing.TB, b s3.Bucket) {
	t.Helper()
	if there, err := b.Client.BucketExists(t.Context(), b.Name); err != nil || there {
		return
	}
	err := b.Client.MakeBucket(t.Context(), b.Name, minio.MakeBucketOptions{})
	if code := minio.ToErrorResponse(err).Code; err != nil && code != "BucketAlreadyOwnedByYou" && code != "BucketAlreadyExists" {
		t.Fatal(err)
	}
}
