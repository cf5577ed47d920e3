package access

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"changde/problem"
)

// A key is "cd_", its id, "_", the secret, and a checksum of all before it:
//
//	cd_7h2k9x0q_<52 characters: 32 random bytes><7 characters: CRC-32>
//
// Secret and checksum are base32 of RFC 4648 in lower case without padding. The
// checksum tells a typing error from a key without asking the database; it
// protects nothing.
const (
	keyPrefix      = "cd_"
	keyIDLength    = 8
	secretBytes    = 32
	secretLength   = 52
	checksumLength = 7
	keyLength      = len(keyPrefix) + keyIDLength + 1 + secretLength + checksumLength
)

// maxKeyLength bounds what is looked at in a request.
const maxKeyLength = 200

const idAlphabet = "0123456789abcdefghijklmnopqrstuvwxyz"

var keyEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// newKey makes a key of crypto/rand.
func newKey() (plain, id string) {
	b := make([]byte, 0, keyLength)
	b = append(b, keyPrefix...)
	for len(b) < len(keyPrefix)+keyIDLength {
		var r [1]byte
		rand.Read(r[:]) // never fails: it ends the program instead
		// 252 is the largest multiple of 36 in a byte: all digits are as likely.
		if r[0] < 252 {
			b = append(b, idAlphabet[r[0]%36])
		}
	}
	id = string(b[len(keyPrefix):])
	b = append(b, '_')
	var secret [secretBytes]byte
	rand.Read(secret[:])
	b = keyEncoding.AppendEncode(b, secret[:])
	return string(b) + checksum(string(b)), id
}

func checksum(s string) string {
	var sum [4]byte
	binary.BigEndian.PutUint32(sum[:], crc32.ChecksumIEEE([]byte(s)))
	return keyEncoding.EncodeToString(sum[:])
}

// parseKey takes the id out of a well-formed key.
func parseKey(plain string) (id string, ok bool) {
	if len(plain) != keyLength || !strings.HasPrefix(plain, keyPrefix) {
		return "", false
	}
	id = plain[len(keyPrefix) : len(keyPrefix)+keyIDLength]
	if !validKeyID(id) || plain[len(keyPrefix)+keyIDLength] != '_' {
		return "", false
	}
	body := plain[:keyLength-checksumLength]
	return id, checksum(body) == plain[len(body):]
}

func validKeyID(id string) bool {
	if len(id) != keyIDLength {
		return false
	}
	for i := range len(id) {
		if strings.IndexByte(idAlphabet, id[i]) < 0 {
			return false
		}
	}
	return true
}

func hashKey(plain string) []byte {
	sum := sha256.Sum256([]byte(plain))
	return sum[:]
}

// unauthenticated is one text for every key that does not open: whether it is
// unknown, mistyped, expired or revoked is not told.
func unauthenticated() error {
	return problem.New(problem.Unauthenticated, "key-invalid", "",
		"密钥无效；请检查是否完整抄录，或向平台管理单位申请新的密钥",
		"the key is not valid; check that it was copied whole, or ask the administrators of the platform for another")
}

// KeyFromRequest takes the key out of a request: Authorization: Bearer,
// X-API-Key, or the query parameter tk. It is empty when the request has none;
// whether it is valid is for Authenticate to say. Credentials of another scheme
// than Bearer are not ours and count for nothing.
//
// Two different keys, and Authorization without a scheme, are problem.Invalid; a
// key beyond any length is problem.Unauthenticated. No text contains a key.
func KeyFromRequest(r *http.Request) (string, error) {
	var key string
	add := func(candidate string) error {
		candidate = strings.TrimSpace(candidate)
		switch {
		case candidate == "":
		case len(candidate) > maxKeyLength:
			return unauthenticated()
		case key == "":
			key = candidate
		case key != candidate:
			return problem.New(problem.Invalid, "keys-differ", "",
				"请求中有两把不同的密钥；请只用 Authorization: Bearer、X-API-Key 或 tk 之一",
				"the request carries two different keys; send one, as Authorization: Bearer, X-API-Key or tk")
		}
		return nil
	}
	for _, v := range r.Header["Authorization"] {
		scheme, credentials, ok := strings.Cut(strings.TrimSpace(v), " ")
		if !ok {
			return "", problem.New(problem.Invalid, "authorization-scheme", "Authorization",
				"Authorization 头应写作 “Bearer 密钥”", "write the header as: Authorization: Bearer, a space, and the key")
		}
		if !strings.EqualFold(scheme, "Bearer") {
			continue
		}
		if err := add(credentials); err != nil {
			return "", err
		}
	}
	for _, v := range r.Header["X-Api-Key"] {
		if err := add(v); err != nil {
			return "", err
		}
	}
	if strings.Contains(r.URL.RawQuery, "tk") || strings.Contains(r.URL.RawQuery, "%") {
		for _, v := range r.URL.Query()["tk"] {
			if err := add(v); err != nil {
				return "", err
			}
		}
	}
	return key, nil
}

// redacted stands where a secret stood.
const redacted = "***"

// anyKey finds a key wherever it was pasted, cut off or not.
var anyKey = regexp.MustCompile(fmt.Sprintf(`(?i)cd(?:_|%%5f)[0-9a-z]{%d}(?:_|%%5f)[0-9a-z]+`, keyIDLength))

// RedactURL writes a URL for a log: the values of tk, a password, and whatever
// else looks like a key are masked, the rest stays byte by byte. nil is empty.
func RedactURL(u *url.URL) string {
	if u == nil {
		return ""
	}
	c := *u
	var b strings.Builder
	for rest := c.RawQuery; rest != ""; {
		pair := rest
		if i := strings.IndexAny(rest, "&;"); i >= 0 {
			pair = rest[:i+1] // with what separates it from the next
		}
		rest = rest[len(pair):]
		name, value, _ := strings.Cut(pair, "=")
		plain, err := url.QueryUnescape(name)
		if err != nil {
			plain = name
		}
		bare := strings.TrimRight(value, "&;")
		if bare != "" && strings.EqualFold(strings.TrimSpace(plain), "tk") {
			pair = name + "=" + redacted + value[len(bare):]
		}
		b.WriteString(pair)
	}
	c.RawQuery = b.String()
	return anyKey.ReplaceAllString(c.Redacted(), redacted)
}
