package s3

import (
	"cmp"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"changde/problem"
)

// bucketName is what all services accept as the name of a bucket.
var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

const (
	defaultEndpoint = "s3.amazonaws.com"
	maxPrefix       = 512 // bytes; a key has at most 1,024
)

// Connect reads the address of a place in S3:
//
//	s3://bucket/prefix?endpoint=https://host:port&region=name&lookup=path
//
// Without endpoint it is Amazon's; an endpoint without scheme is reached by https;
// lookup is "path", "dns" or, by default, chosen by the endpoint. Credentials stand
// in config, never in the address: one that has any is refused, and not repeated in
// the error. Nothing is contacted.
func Connect(rawURL string, config Config) (Bucket, error) {
	u, err := url.Parse(rawURL)
	if err != nil { // the error repeats the URL
		return Bucket{}, urlProblem("s3 地址不合规则，应写作 s3://bucket/prefix?endpoint=…", "the address is no URL; write s3://bucket/prefix?endpoint=...")
	}
	if u.User != nil {
		return Bucket{}, urlProblem("密钥不得写在地址里，请用环境变量", "keys do not belong in the address; use the environment")
	}
	if u.Scheme != "s3" || !bucketName.MatchString(u.Host) || u.Fragment != "" {
		return Bucket{}, urlProblem("s3 地址的存储桶名不合规则", "the address names no valid bucket")
	}
	b := Bucket{Name: u.Host, Prefix: strings.Trim(u.Path, "/")}
	if b.Prefix != "" {
		b.Prefix += "/"
	}
	if err := checkKeyPrefix(b.Prefix); err != nil {
		return Bucket{}, err
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Bucket{}, urlProblem("s3 地址的参数不合规则", "the parameters of the address are malformed")
	}
	for name, values := range query {
		switch name {
		case "endpoint", "region", "lookup":
			if len(values) == 1 {
				continue
			}
		}
		return Bucket{}, urlProblem("s3 地址只有参数 endpoint、region、lookup，各一次", "the address takes the parameters endpoint, region and lookup, once each")
	}
	endpoint, secure, err := parseEndpoint(query.Get("endpoint"))
	if err != nil {
		return Bucket{}, err
	}
	lookups := map[string]minio.BucketLookupType{"": minio.BucketLookupAuto, "path": minio.BucketLookupPath, "dns": minio.BucketLookupDNS}
	lookup, ok := lookups[query.Get("lookup")]
	if !ok {
		return Bucket{}, urlProblem("参数 lookup 只能是 path 或 dns", "the parameter lookup is path or dns")
	}
	c := config.Credentials
	if c.AccessKey == "" || c.SecretKey == "" {
		return Bucket{}, problem.New(problem.Invalid, "s3-credentials", "s3",
			"缺少 S3 密钥，请设置环境变量 AWS_ACCESS_KEY_ID 与 AWS_SECRET_ACCESS_KEY", "the keys of S3 are missing; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	}
	b.Client, err = minio.New(endpoint, &minio.Options{
		Creds:        credentials.NewStaticV4(c.AccessKey, c.SecretKey, c.SessionToken),
		Secure:       secure,
		Transport:    config.Transport,
		Region:       query.Get("region"),
		BucketLookup: lookup,
		MaxRetries:   cmp.Or(max(config.Retries, 0), defaultRetries),
	})
	if err != nil {
		return Bucket{}, problem.Wrap(err, problem.Invalid, "s3-url", "s3", "参数 endpoint 不合规则", "the parameter endpoint is malformed")
	}
	return b, nil
}

// Folder reads the address of a place that may be in S3 or a folder: s3://…, which
// is not ok, a plain path, or file:///path.
func Folder(rawURL string) (path string, ok bool, err error) {
	switch {
	case strings.HasPrefix(rawURL, "s3://"):
		return "", false, nil
	case strings.HasPrefix(rawURL, "file:"):
		u, err := url.Parse(rawURL)
		if err != nil || u.Host != "" && u.Host != "localhost" || !strings.HasPrefix(u.Path, "/") || u.RawQuery != "" || u.Fragment != "" {
			return "", false, urlProblem("应写作 file:///绝对路径", "write file:///absolute/path")
		}
		return u.Path, true, nil
	case rawURL == "", strings.Contains(rawURL, "://"):
		return "", false, urlProblem("只支持文件夹路径、file:// 与 s3://", "only a folder's path, file:// and s3:// are supported")
	}
	return rawURL, true, nil
}

func urlProblem(zh, en string) error {
	return problem.New(problem.Invalid, "s3-url", "address", zh, en)
}

func parseEndpoint(s string) (host string, secure bool, err error) {
	if s == "" {
		return defaultEndpoint, true, nil
	}
	if !strings.Contains(s, "://") {
		s = "https://" + s
	}
	u, err := url.Parse(s)
	if err != nil || u.User != nil || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Scheme != "https" && u.Scheme != "http" {
		return "", false, urlProblem("参数 endpoint 应写作 https://主机:端口", "write the parameter endpoint as https://host:port")
	}
	return u.Host, u.Scheme == "https", nil
}

func checkKeyPrefix(prefix string) error {
	bad := len(prefix) > maxPrefix || !utf8.ValidString(prefix) || strings.ContainsFunc(prefix, unicode.IsControl)
	for part := range strings.SplitSeq(strings.TrimSuffix(prefix, "/"), "/") {
		bad = bad || prefix != "" && (part == "" || part == "." || part == "..")
	}
	if bad {
		return urlProblem(fmt.Sprintf("s3 地址的前缀不合规则（最长 %d 字节）", maxPrefix), fmt.Sprintf("the prefix of the address is malformed (at most %d bytes)", maxPrefix))
	}
	return nil
}
