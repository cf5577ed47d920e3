package s3

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"changde/problem"
)

var testKeys = Credentials{AccessKey: "AKIATESTKEY", SecretKey: "s3cr3t-of-the-test", SessionToken: "t0ken-of-the-test"}

// wantCode checks that err is the problem of that code.
func wantCode(t testing.TB, err error, code string) {
	t.Helper()
	var p *problem.Error
	if !errors.As(err, &p) || p.Code != code {
		t.Fatalf("got %v, want the problem %s", err, code)
	}
	if p.ZH == "" || p.EN == "" {
		t.Errorf("%s lacks a text", code)
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"s3://changde-depot": "changde-depot ",
		"s3://changde-depot/收件/2024?endpoint=minio.local:9000&region=cn-north-1&lookup=path": "changde-depot 收件/2024/",
		"s3://changde-depot/?endpoint=http://127.0.0.1:9000/":                                "changde-depot ",
		"s3://":              "",
		"s3://Bad_Bucket":    "",
		"s3://bucket/a/../b": "",
		"s3://bucket/a//b":   "",
		"s3://bucket/" + strings.Repeat("a", 600): "",
		"s3://bucket?endpoint=ftp://h":            "",
		"s3://bucket?endpoint=https://h/path":     "",
		"s3://bucket?lookup=x":                    "",
		"s3://bucket?region=a&region=b":           "",
		"s3://bucket?other=a":                     "",
		"/a/folder":                               "",
	} {
		b, err := Connect(address, Config{Credentials: testKeys})
		switch {
		case want == "":
			wantCode(t, err, "s3-url")
		case err != nil:
			t.Errorf("%s: %v", address, err)
		case b.Name+" "+b.Prefix != want:
			t.Errorf("%s is %q, %q", address, b.Name, b.Prefix)
		}
	}
	_, err := Connect("s3://bucket", Config{})
	wantCode(t, err, "s3-credentials")
}

func TestFolders(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{"a/b": "a/b", "/a": "/a", "file:///a": "/a", "file://localhost/a": "/a", "s3://bucket": ""} {
		if path, ok, err := Folder(address); path != want || ok != (want != "") || err != nil {
			t.Errorf("%s is %q, %t, %v", address, path, ok, err)
		}
	}
	for _, address := range []string{"", "file://host/a", "file:a", "ftp://a/b"} {
		_, _, err := Folder(address)
		wantCode(t, err, "s3-url")
	}
}

// Keys are in nothing that can be printed, also where they were written in an address.
func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	config := Config{Credentials: testKeys}
	b, err := json.Marshal(testKeys)
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{string(b), fmt.Sprintf("%v %+v %#v %v", config, config, config, &config)}
	for _, address := range []string{"s3://AKIATESTKEY:s3cr3t-of-the-test@b/p", "s3://b:s3cr3t-of-the-test/%zz", "s3://bucket/p?secret=s3cr3t-of-the-test", "s3://bucket/p?endpoint=https://u:s3cr3t-of-the-test@h"} {
		_, err := Connect(address, config)
		wantCode(t, err, "s3-url")
		texts = append(texts, fmt.Sprintf("%v %+v", err, errors.Unwrap(err)))
	}
	for _, text := range texts {
		for _, secret := range []string{testKeys.AccessKey, testKeys.SecretKey, testKeys.SessionToken} {
			if strings.Contains(text, secret) {
				t.Errorf("%q in %s", secret, text)
			}
		}
	}
}

func FuzzConnect(f *testing.F) {
	for _, s := range []string{"s3://b-b/收件?endpoint=https://h:1&region=r", "s3://a@b", "s3://%zz", "s3://bucket/%2e%2e/x?lookup=dns"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, url string) {
		b, err := Connect(url, Config{Credentials: testKeys})
		if err != nil {
			wantCode(t, err, "s3-url")
			return
		}
		if b.Prefix != "" && !strings.HasSuffix(b.Prefix, "/") || strings.Contains("/"+b.Prefix, "/../") {
			t.Errorf("%q has the prefix %q", url, b.Prefix)
		}
	})
}
