// Package charset decides, by evidence, in which encoding the text of a DBF (or
// any other file of bytes) is written, and decodes it.
//
// The Chinese encodings GB2312, GBK and code page 936 are one chain of supersets
// that ends in GB 18030; they are always decoded as GB18030, because files that
// call themselves GBK contain characters of its extensions.
package charset

import (
	"fmt"
	"strings"

	"changde/problem"
)

// SampleLimit is the number of bytes of a sample that Detect looks at.
const SampleLimit = 1 << 20

// Evidence is what is known about the encoding of a file. The zero value means
// that nothing is known.
type Evidence struct {
	User   string // the name a person chose, empty if none
	CPG    string // the raw content of the .cpg file, empty if there is none
	LDID   byte   // the language driver id, byte 29 of the DBF header
	Sample []byte // raw text values without padding, separated by '\n'; bytes after SampleLimit are not looked at
}

// The values of Choice.By.
const (
	ByUser    = "user"
	ByCPG     = "cpg"
	ByLDID    = "ldid"
	ByContent = "content"
	ByDefault = "default"
)

// Choice is an encoding with the reason for it. ZH and EN are whole sentences
// that also name the evidence that was set aside.
type Choice struct {
	Name string // canonical: "UTF-8", "GB18030", "Big5", "windows-1252", ...
	By   string
	ZH   string
	EN   string
}

// sentence collects the clauses of a reason in both languages.
type sentence struct{ zh, en []string }

func (s *sentence) add(zh, en string) {
	s.zh = append(s.zh, zh)
	s.en = append(s.en, en)
}

func (s *sentence) choice(name, by string) Choice {
	en := strings.Join(s.en, "; ")
	if en != "" {
		en = strings.ToUpper(en[:1]) + en[1:]
	}
	return Choice{Name: name, By: by, ZH: strings.Join(s.zh, ";") + "。", EN: en + "."}
}

// Detect chooses the encoding. A person's choice is always followed. A
// declaration in the .cpg file, then in the language driver id, is followed
// unless the bytes contradict it; without a declaration the bytes decide.
//
// The only error is a *problem.Error for a User name that is not known.
func Detect(e Evidence) (Choice, error) {
	sample := e.Sample
	if len(sample) > SampleLimit {
		sample = sample[:SampleLimit]
	}
	sv := newSurvey(sample)
	var why sentence

	if user := strings.TrimSpace(e.User); user != "" {
		name, ok := Canonical(user)
		if !ok {
			return Choice{}, unknown(user)
		}
		why.add("按用户指定的编码 "+name+" 读取", "read as "+name+" by the user's choice")
		if bad := sv.badValues(name); bad > 0 {
			why.add(fmt.Sprintf("但抽样的 %d 个非 ASCII 值中有 %d 个含有该编码不能解释的字节", sv.values, bad),
				fmt.Sprintf("yet %d of %d sampled non-ASCII values hold bytes that are not %s", bad, sv.values, name))
			if v := sv.verdict(); v.name != name {
				why.add("内容看来是 "+v.name, "the content looks like "+v.name)
			}
		} else if v := sv.verdict(); v.sure && v.name != name {
			why.add("但内容看来是 "+v.name+":"+v.zh, "yet the content looks like "+v.name+": "+v.en)
		}
		return why.choice(name, ByUser), nil
	}

	declared, by := declaration(e, &why)
	v := sv.verdict()
	if declared == "" {
		why.add(v.zh, v.en)
		return why.choice(v.name, v.by), nil
	}
	if declared != v.name && sv.contradicts(declared, v) {
		why.add("但内容与之不符："+v.zh+"，故以内容为准", "the content contradicts this and goes before it: "+v.en)
		return why.choice(v.name, ByContent), nil
	}
	bad := sv.badValues(declared)
	switch {
	case sv.values == 0:
		why.add("抽样的值全是 ASCII，无从核对", "the sampled values are all ASCII and can neither confirm nor contradict it")
	case bad > 0:
		why.add(fmt.Sprintf("抽样的 %d 个非 ASCII 值中有 %d 个含有不能解释的字节，但没有别的编码更合适", sv.values, bad),
			fmt.Sprintf("%d of %d sampled non-ASCII values hold bytes that are not %s, but no other encoding fits better", bad, sv.values, declared))
	default:
		why.add(fmt.Sprintf("抽样的 %d 个非 ASCII 值都与之相符", sv.values),
			fmt.Sprintf("all %d sampled non-ASCII values agree with it", sv.values))
	}
	return why.choice(declared, by), nil
}

// declaration returns the encoding that the .cpg file or the language driver id
// declares, and tells what it found.
func declaration(e Evidence, why *sentence) (name, by string) {
	cpg, label, state := readCPG(e.CPG)
	ldid, known := languageDriver[e.LDID]
	switch state {
	case cpgNamed:
		why.add(fmt.Sprintf(".cpg 文件写明 %q，即 %s", label, cpg), fmt.Sprintf("the .cpg file says %q, that is %s", label, cpg))
		if known && ldid != "" && ldid != cpg {
			why.add(fmt.Sprintf("DBF 语言标识 0x%02X(%s)与之不同，.cpg 优先", e.LDID, ldid),
				fmt.Sprintf("the DBF language driver id 0x%02X (%s) differs, the .cpg goes before it", e.LDID, ldid))
		}
		return cpg, ByCPG
	case cpgVague:
		why.add(fmt.Sprintf(".cpg 文件只写 %q，不能说明编码", label), fmt.Sprintf("the .cpg file says only %q, which names no encoding", label))
	case cpgMarkup:
		why.add(".cpg 文件的内容是网页(HTML/XML)而不是编码名，已忽略", "the .cpg file holds a web page (HTML/XML) instead of a name and is ignored")
	case cpgRubbish:
		why.add(fmt.Sprintf(".cpg 文件的内容 %q 不是已知的编码名，已忽略", label), fmt.Sprintf("the .cpg file's content %q is not a known name and is ignored", label))
	}
	switch {
	case known && ldid != "":
		why.add(fmt.Sprintf("DBF 语言标识 0x%02X 表示 %s", e.LDID, ldid), fmt.Sprintf("the DBF language driver id 0x%02X means %s", e.LDID, ldid))
		return ldid, ByLDID
	case known:
		why.add(fmt.Sprintf("DBF 语言标识 0x%02X 只表示“本机代码页”，不能说明编码", e.LDID),
			fmt.Sprintf("the DBF language driver id 0x%02X means \"the code page of the machine\", which names no encoding", e.LDID))
	case e.LDID != 0:
		why.add(fmt.Sprintf("DBF 语言标识 0x%02X 未知，已忽略", e.LDID), fmt.Sprintf("the DBF language driver id 0x%02X is unknown and ignored", e.LDID))
	}
	return "", ""
}

func unknown(name string) *problem.Error {
	shown := clip(name)
	return problem.New(problem.Invalid, "charset-unknown", "encoding",
		fmt.Sprintf("不认识编码名 %q；请用 UTF-8、GB18030(GBK、GB2312、936)、Big5、Shift_JIS、EUC-KR、windows-1252 等", shown),
		fmt.Sprintf("the encoding %q is not known; use UTF-8, GB18030 (GBK, GB2312, 936), Big5, Shift_JIS, EUC-KR, windows-1252 or the like", shown))
}
