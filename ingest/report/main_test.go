package report

import (
	"bytes"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"changde/ingest/finding"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s (-want +got):\n%s", name, cmp.Diff(string(want), string(got)))
	}
}

// stream gives findings one after the other.
func stream(all ...finding.Finding) func(func(finding.Finding) error) error {
	return func(yield func(finding.Finding) error) error {
		for _, f := range all {
			if err := yield(f); err != nil {
				return err
			}
		}
		return nil
	}
}

// parcels is the report of a delivery of land parcels that has some of
// everything.
func parcels() Document {
	return Document{
		Delivery: 41, Dataset: "dltb", TitleZH: "地类图斑", TitleEN: "Land use parcels", State: "awaiting",
		Sender: "wuling-land", SenderName: "武陵区自然资源局", Owner: "常德市自然资源和规划局",
		Files: []string{"430702DLTB.dbf", "430702DLTB.prj", "430702DLTB.shp", "430702DLTB.shx"},
		Bytes: 48_511_932, SHA256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
		Received: time.Date(2026, 11, 24, 0, 41, 7, 0, time.UTC), Finished: time.Date(2026, 11, 24, 0, 43, 52, 0, time.UTC),
		Plan: []Item{
			{"格式", "Format", "Shapefile", "", ""},
			{"编码", "Encoding", "GB18030", "没有 .cpg，99.8 % 的文本是合法的 GB18030", "no .cpg; 99.8 % of the texts are valid GB18030"},
			{"坐标系", "CRS", "EPSG:4546", "来自 .prj：CGCS2000 / 3-degree Gauss-Kruger CM 111E", "from the .prj"},
			{"几何类型", "Geometry", "MultiPolygon", "", ""},
			{"图层标准", "Profile", "dltb-3", "TD/T 1055-2019，字段 24/26 个相符", "TD/T 1055-2019, 24 of 26 fields agree"},
			{"方式", "Mode", "全量", "替换现行版本的全部内容", "replaces the whole content of the current release"},
		},
		Counts: Counts{Read: 21_408, Staged: 21_405, Repaired: 2, Refused: 3, Noted: 9, Blocking: 1, Errors: 9, Warnings: 5},
		Rules: []RuleResult{
			{Code: "Q05", Severity: finding.Error, Rows: 21_405, Seconds: 0.412},
			{Code: "Q06", Severity: finding.Error, Found: 4, AtLeast: true, Kept: 4, Rows: 21_405, Seconds: 1.806},
			{Code: "Q07", Severity: finding.Error, SkipZH: "没有行政区数据集 xzq，无法检查覆盖", SkipEN: "there is no dataset xzq to be covered"},
			{Code: "Q08", Severity: finding.Warn, Found: 3, Kept: 3, Rows: 21_405, Seconds: 0.412},
			{Code: "Q12", Severity: finding.Block, Found: 1, Kept: 1, Rows: 21_405, Seconds: 0.412},
			{Code: "Q14", Severity: finding.Error, Found: 2, Kept: 2, Rows: 21_405, Seconds: 0.412},
			{Code: "Q15", Check: "name-of-code", Severity: finding.Error, Rows: 21_405, Seconds: 0.412},
			{Code: "Q15", Check: "product", Severity: finding.Error, Rows: 21_405, Seconds: 0.412},
			{Code: "Q16", Severity: finding.Error, Found: 2, Kept: 2, Rows: 21_405, Seconds: 0.988},
			{Code: "Q20", Severity: finding.Warn, Found: 1, Kept: 1, Rows: 21_405, Seconds: 0.003},
		},
		Difference: &Difference{
			FromRelease: 6, Added: 212, Removed: 5, ChangedAttributes: 88, ChangedGeometry: 37, Unchanged: 21_068,
			ByClass: []ClassChange{
				{"0101", "水田", 6_120, 6_098, 184_220_310.42, 183_904_118.07},
				{"0301", "乔木林地", 3_911, 3_911, 96_310_009.10, 96_310_009.10},
				{"0701", "城镇住宅用地", 2_204, 2_310, 20_113_870.55, 20_398_412.81},
				{"1101", "河流水面", 48, 49, 31_508_222, 31_539_872.27},
			},
			ByField:   []FieldChange{{"DLBM", 61}, {"DLMC", 61}, {"TBMJ", 52}, {"QSDWMC", 4}},
			SummaryZH: "与第 6 版相比：新增 212 个，删除 5 个，变化 125 个，未变 21,068 个；水田减少 31.62 公顷。",
			SummaryEN: "Against release 6: 212 added, 5 removed, 125 changed, 21,068 unchanged; 31.62 ha less paddy.",
		},
		Decisions: []Decision{
			{
				At: time.Date(2026, 11, 24, 1, 5, 0, 0, time.UTC), Actor: "li.wei", Organisation: "常德市自然资源和规划局", Action: "retry",
				DocumentNumber: "", Note: "行政区数据集已更新，请重新检查",
			},
		},
		Extent:  &[4]float64{111.612, 28.962, 111.791, 29.118},
		Outline: [][][2]float64{{{111.62, 28.97}, {111.70, 28.965}, {111.785, 28.99}, {111.788, 29.07}, {111.73, 29.115}, {111.66, 29.10}, {111.615, 29.04}, {111.62, 28.97}}},
		Others: []Other{
			{"XLSX", "/api/deliveries/41/report.xlsx"},
			{"GeoPackage", "changde delivery report 41 --format gpkg"},
		},
		Findings: stream(
			finding.Finding{Rule: "Q20", Code: "area-changed", Severity: finding.Warn, Action: finding.Noted, ZH: "水田面积减少 0.17 %", EN: "the area of paddy is 0.17 % less"},
			finding.Finding{
				Row: 12, File: "430702DLTB.shp", Rule: "Q01", Code: "text-cut", Severity: finding.Warn, Action: finding.Noted, Field: "QSDWMC",
				ZH: "文本在第 30 字节处被截断了半个汉字", EN: "the text was cut inside a character at byte 30",
			},
			finding.Finding{
				Row: 88, File: "430702DLTB.shp", Rule: "Q04", Code: "geometry-invalid", Severity: finding.Error, Action: finding.Repaired,
				ZH: "多边形自相交，已修复", EN: "the polygon crosses itself; it was repaired", Place: &[2]float64{111.6931205, 29.0312764},
				Before: "Self-intersection，1 个部分，面积 1,204.55 m²", After: "2 个部分，面积 1,204.12 m²",
			},
			place("Q06", "overlap", finding.Error, 311, 111.7011, 29.0402, "与第 312 行重叠 14.20 m²", "overlaps row 312 by 14.20 m²"),
			place("Q06", "overlap", finding.Error, 312, 111.7012, 29.0403, "与第 311 行重叠 14.20 m²", "overlaps row 311 by 14.20 m²"),
			place("Q06", "overlap", finding.Error, 9_120, 111.6420, 28.9881, "与第 9,121 行重叠 0.71 m²", "overlaps row 9,121 by 0.71 m²"),
			place("Q06", "overlap", finding.Error, 9_121, 111.6421, 28.9881, "与第 9,120 行重叠 0.71 m²", "overlaps row 9,120 by 0.71 m²"),
			place("Q08", "sliver", finding.Warn, 702, 111.7602, 29.0811, "狭长：面积 3.1 m²，4πA/P² = 0.004", "thin: 3.1 m², 4πA/P² = 0.004"),
			place("Q08", "sliver", finding.Warn, 1_455, 111.6502, 29.0611, "狭长：面积 8.8 m²，4πA/P² = 0.007", "thin: 8.8 m², 4πA/P² = 0.007"),
			place("Q08", "small", finding.Warn, 1_460, 111.6522, 29.0641, "面积 0.4 m² < 1 m²", "0.4 m² < 1 m²"),
			place("Q12", "key-duplicate", finding.Block, 20_001, 111.7301, 29.0122, "BSM 430702000019932 在第 19,932 行已有", "BSM 430702000019932 is in row 19,932 already"),
			place("Q14", "code-unknown", finding.Error, 4_410, 111.6801, 29.0022, "DLBM 的值 0199 不在 survey-3 中", "0199 is not in survey-3"),
			finding.Finding{
				Row: 4_411, File: "430702DLTB.shp", Rule: "Q14", Code: "code-unknown", Severity: finding.Error, Action: finding.Refused, Field: "DLBM",
				ZH: "DLBM 的值 “\u202e1010” 不在 survey-3 中", EN: "“\u202e1010” is not in survey-3",
			},
			place("Q16", "area-disagrees", finding.Error, 5_120, 111.7444, 28.9922, "TBMJ 1,204.00 m²，椭球面积 1,310.42 m²", "TBMJ is 1,204.00 m², the ellipsoidal area 1,310.42 m²"),
			place("Q16", "area-disagrees", finding.Error, 5_121, 111.9444, 28.9922, "TBMJ 80.00 m²，椭球面积 88.10 m²", "TBMJ is 80.00 m², the ellipsoidal area 88.10 m²"),
		),
	}
}

func place(rule, code string, s finding.Severity, row int64, lon, lat float64, zh, en string) finding.Finding {
	return finding.Finding{
		Row: row, File: "430702DLTB.shp", Rule: rule, Code: code, Severity: s, Action: finding.Noted, ZH: zh, EN: en, Place: &[2]float64{lon, lat},
	}
}

// many gives n findings of ten rules about the city, nine in ten with a place.
func many(n int) Document {
	d := parcels()
	d.Rules, d.Counts.Blocking, d.Counts.Errors, d.Counts.Warnings = nil, 0, 0, 0
	severities := []finding.Severity{finding.Block, finding.Error, finding.Error, finding.Warn}
	d.Findings = func(yield func(finding.Finding) error) error {
		for i := range n {
			angle, r := float64(i)*2.399963, math.Sqrt(float64(i)/float64(n))
			f := place(fmt.Sprintf("Q%02d", 4+i*i%10), "some-code", severities[i%4], int64(i+1), 111.7+0.08*r*math.Cos(angle), 29.04+0.07*r*math.Sin(angle),
				fmt.Sprintf("与第 %d 行重叠 14.20 m²，超过限差 0.01 m²", i+2), fmt.Sprintf("overlaps row %d by 14.20 m², more than the tolerance of 0.01 m²", i+2))
			if i%10 == 9 {
				f.Place = nil
			}
			if err := yield(f); err != nil {
				return err
			}
		}
		return nil
	}
	return d
}
