package vct

import (
	"fmt"
	"strings"
	"testing"
)

// TestReferences reads a polygon of eight lines in two rings, whose nine numbers take
// two lines of the file, counted with and without the zero, before another polygon.
func TestReferences(t *testing.T) {
	t.Parallel()
	corners := [8][4]string{}
	for i, side := range [8][4]int{{0, 0, 9, 0}, {9, 0, 9, 9}, {9, 9, 0, 9}, {0, 9, 0, 0}, {2, 2, 4, 2}, {4, 2, 4, 4}, {4, 4, 2, 4}, {2, 4, 2, 2}} {
		for k, v := range side {
			corners[i][k] = fmt.Sprintf("%d.5", v)
		}
	}
	const want = "1 POLYGON ((0.5 0.5, 9.5 0.5, 9.5 9.5, 0.5 9.5, 0.5 0.5), (2.5 2.5, 4.5 2.5, 4.5 4.5, 2.5 4.5, 2.5 2.5)) note attributes-missing\n" +
		"2 POLYGON ((2.5 2.5, 4.5 2.5, 4.5 4.5, 2.5 4.5, 2.5 2.5)) note attributes-missing\n"
	for _, count := range []int{8, 9} {
		for _, ids := range []string{"1,2,3,4,0,5,6,7\n8", "1,2,3,4\n0,5,6,7,8", "1\n2\n3\n4\n0\n5\n6\n7\n8"} {
			modern := "LineBegin\n"
			classic := modern
			for i, c := range corners {
				modern += fmt.Sprintf("%d\n77\nx\n1\n1\n11\n2\n%s,%s\n%s,%s\n0\n", i+1, c[0], c[1], c[2], c[3])
				classic += fmt.Sprintf("%d\n77\nx\n1\n2\n%s,%s\n%s,%s\n", i+1, c[0], c[1], c[2], c[3])
			}
			modern += fmt.Sprintf("LineEnd\nPolygonBegin\n1\nP1\nx\n100\n0,0\n21\n%d\n%s\n0\n2\nP1\nx\n100\n0,0\n21\n4\n5,6,7,8\n0\nPolygonEnd\n", count, ids)
			classic += fmt.Sprintf("LineEnd\nPolygonBegin\n1\nP1\nx\n0,0\n%d\n%s\n2\nP1\nx\n0,0\n4\n5,6,7,8\nPolygonEnd\n", count, ids)
			for _, data := range []string{file("", modern), strings.Replace(file("Topo:1\n", classic), "Version:3.0", "Version:2.0", 1), strings.Replace(file("", classic), "Version:3.0", "Version:2.0", 1)} {
				if got := dump(t, write(t, data)); !strings.Contains(got, want) {
					t.Errorf("count %d, %q:\n%s", count, ids, got)
				}
			}
		}
	}
}

// TestTopology2 reads the layout of 1999 with nodes that name their lines and lines
// that name their nodes and polygons.
func TestTopology2(t *testing.T) {
	t.Parallel()
	data := strings.Replace(file("Topo:2\n", "FeatureCodeBegin\nN1,点,Point,N\nFeatureCodeEnd\n"+
		"PointBegin\n5\nN1\nx\n2\n1.5,1.5\n2\n1,2\n6\nN1\nx\n1\n2.5,2.5\n7\nN1\nx\n3\n3.5,3.5\n0.5,0.5\nPointEnd\n"+
		"LineBegin\n1\nL1\nx\n1\n2\n0,0\n1,1\n5\n6\n0\n9\n2\nL1\nx\n1\n2\n1,1\n0,0\n6\n5\n9\n0\n3\nL1\nx\n1\n2\n8,8\n9,9\nLineEnd\n"), "Version:3.0", "Version:1.0", 1)
	got := dump(t, write(t, data))
	for _, want := range []string{
		"1 LINESTRING (0 0, 1 1) note attributes-missing\n2 LINESTRING (1 1, 0 0) note attributes-missing\n3 LINESTRING (8 8, 9 9) note",
		"1 POINT (1.5 1.5) note attributes-missing\n2 POINT (2.5 2.5) note attributes-missing\n3 POINT (3.5 3.5) note",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

// TestRefusedRow checks that the object of a refused row does not come again as one
// without a row.
func TestRefusedRow(t *testing.T) {
	t.Parallel()
	got := dump(t, write(t, file("", "LineBegin\n1\nL1\nx\n1\n1\n11\n2\n0,0\n1,1\n0\nLineEnd\nAttributeBegin\nL\n1,a,b,c\nTableEnd\nAttributeEnd\n")))
	if !strings.Contains(got, "\n1 LOST row-width") || strings.Contains(got, "\n2 ") {
		t.Error(got)
	}
}
