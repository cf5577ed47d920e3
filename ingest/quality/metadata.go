package quality

import (
	"fmt"
	"strings"
)

// Element is an element of the core metadata of a dataset (GB/T 19710-2005 core,
// with what the sharing of data adds).
type Element struct {
	ID        string // key of Options.Metadata
	ZH        string
	EN        string
	Mandatory bool
}

// Elements lists the core metadata.
func Elements() []Element {
	return []Element{
		{"title", "数据集名称", "title", true},
		{"date", "参照日期", "reference date", true},
		{"responsible", "负责单位", "responsible party", false},
		{"extent", "地理范围", "geographic extent", false},
		{"language", "语种", "language", true},
		{"charset", "字符集", "character set", false},
		{"topic", "专题类别", "topic category", true},
		{"scale", "比例尺或分辨率", "scale or resolution", false},
		{"abstract", "摘要", "abstract", true},
		{"crs", "参照系", "reference system", false},
		{"lineage", "数据志", "lineage", false},
		{"contact", "元数据联系单位", "metadata contact", true},
		{"stamp", "元数据日期", "metadata date stamp", true},
		{"secrecy", "密级", "secrecy", true},
	}
}

// metadata is Q19.
func (c *checker) metadata(r *rule) error {
	if err := c.none(r); err != nil {
		return err
	}
	if c.o.Metadata == nil {
		r.skip("没有给出元数据", "no metadata were given")
		return nil
	}
	r.Rows = 1
	for _, e := range Elements() {
		if e.Mandatory && strings.TrimSpace(c.o.Metadata[e.ID]) == "" && c.found(r) {
			c.tell(r, 0, "metadata-missing", e.ID, nil, fmt.Sprintf("缺少元数据“%s”", e.ZH), fmt.Sprintf("the metadata have no %s", e.EN))
		}
	}
	return nil
}
