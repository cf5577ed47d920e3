package depot

import (
	"bytes"
	"crypto/rand"
	"os"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// realS3 names, in the environment, a server of S3 (host:port, such as MinIO), whose
// keys are "key" and "secret-of-the-test".
const realS3 = "TEST_S3_ENDPOINT"

// A real server refuses parts below 5 MiB and checks every signature, which the one
// in memory does not: an upload in odd pieces comes out whole there too.
func TestRealServer(t *testing.T) {
	t.Parallel()
	endpoint := os.Getenv(realS3)
	if endpoint == "" {
		t.Skip("no server of S3: set " + realS3)
	}
	c, err := minio.New(endpoint, &minio.Options{Creds: credentials.NewStaticV4("key", "secret-of-the-test", ""), Region: "cn-north-1"})
	must(t, err)
	if there, err := c.BucketExists(t.Context(), "depot"); err != nil || !there {
		must(t, c.MakeBucket(t.Context(), "depot", minio.MakeBucketOptions{}))
	}
	open := func() Store {
		s, err := Open("s3://depot/常德 "+rand.Text()[:4]+"?region=cn-north-1&endpoint=http://"+endpoint, Config{
			Credentials: Credentials{AccessKey: "key", SecretKey: "secret-of-the-test"}, PartSize: minPart, MaxFile: 100 << 20,
		})
		must(t, err)
		return s
	}
	s := open()
	content := sample(13<<20 + 7)
	const name = "12/地类图斑.zip"
	must(t, s.Begin(t.Context(), name))
	size := int64(0)
	for _, end := range []int{1000, 6 << 20, 6<<20 + 1, len(content)} {
		size, err = s.Append(t.Context(), name, size, bytes.NewReader(content[size:end]), 0)
		must(t, err)
		if size != int64(end) {
			t.Fatalf("stored are %d of %d", size, end)
		}
	}
	_, err = s.Append(t.Context(), name, 5, bytes.NewReader(content), 0)
	wantCode(t, err, "depot-offset")
	size, sum, err := s.Seal(t.Context(), name)
	must(t, err)
	if size != int64(len(content)) || !bytes.Equal(sum, sumOf(content)) {
		t.Fatalf("sealed are %d, %x", size, sum)
	}
	if !bytes.Equal(fetched(t, s, name), content) {
		t.Error("what is fetched is not what was sent")
	}
	must(t, s.Remove(t.Context(), name))
	if left, err := s.List(t.Context(), ""); err != nil || len(left) != 0 {
		t.Errorf("left are %v, %v", left, err)
	}
}
