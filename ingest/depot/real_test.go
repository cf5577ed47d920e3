package depot

import (
	"bytes"
	"os"
	"testing"

	"changde/s3/s3test"
)

// A real server refuses parts below 5 MiB and checks every signature, which the one
// in memory does not: an upload in odd pieces comes out whole there too.
func TestRealServer(t *testing.T) {
	t.Parallel()
	if os.Getenv(s3test.Real) == "" {
		t.Skip("no server of S3: set " + s3test.Real)
	}
	address := s3test.Address(t, nil)
	open := func() Store {
		t.Helper()
		s, err := Open(address, Config{
			Credentials: s3test.Keys(), PartSize: minPart, MaxFile: 100 << 20,
		})
		must(t, err)
		return s
	}
	s := open()
	content := sample(13<<20 + 7)
	const name = "12/地类图斑.zip"
	must(t, s.Begin(t.Context(), name))
	var size int64
	var err error
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
