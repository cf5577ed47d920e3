package vct

import (
	"bufio"
	"fmt"
	"io"
)

// grid writes a file of n by n square parcels of 10 m, whose sides are shared lines, in
// either layout. Every parcel with an even number holds a lake of 2 by 2 m, which is a
// parcel too. skip tells the rows of attributes to leave out.
func grid(out io.Writer, n int, modern bool, skip func(id int) bool) error {
	w := bufio.NewWriterSize(out, 1<<20)
	const x0, y0, side = 37500000, 3200000, 10
	if modern {
		fmt.Fprint(w, "HeadBegin\nDatamark:LANDUSE-VCT\nVersion:3.0\nCoordinateSystemType:P\nDim:2\nXAxisDirection:E\nYAxisDirection:N\nXYUnit:M\nSpheroid:CGCS2000,6378137.0,298.257222101\nParameters:111,1,37500000,0,3,37\nSeparator:,\nHeadEnd\n")
		fmt.Fprint(w, "FeatureCodeBegin\n2001010100,DLTB,Polygon,DLTB\nFeatureCodeEnd\n")
	} else {
		fmt.Fprint(w, "HeadBegin\nDatamark:LANDUSE.VCT\nVersion:2.0\nUnit:M\nDim:2\nTopo:1\nSpheroid:CGCS2000\nMeridinan:111\nSeparator:,\nHeadEnd\n")
		fmt.Fprint(w, "FeatureCodeBegin\n2001010100,DLTB,Polygon,0,0,0,DLTB\nFeatureCodeEnd\n")
	}
	fmt.Fprint(w, "TableStructureBegin\nDLTB,3\nBSM,Char,18\nDLBM,Char,5\nMJ,Float,15,2\n")
	if modern {
		fmt.Fprintln(w, 0)
	}
	fmt.Fprint(w, "TableStructureEnd\nLineBegin\n")
	end := func() {
		if modern {
			fmt.Fprintln(w, 0)
		}
	}
	line := func(id int, points ...[2]int) {
		fmt.Fprintf(w, "%d\n1099000000\nunknown\n1\n", id)
		if modern {
			fmt.Fprint(w, "1\n11\n")
		}
		fmt.Fprintln(w, len(points))
		for _, p := range points {
			fmt.Fprintf(w, "%d.0000,%d.0000\n", x0+p[0], y0+p[1])
		}
		end()
	}
	// Horizontal sides have identifiers from 1, vertical ones from 1 + v, lakes from 1 + 2 v.
	v := n * (n + 1)
	for i := range n + 1 {
		for j := range n {
			line(1+i*n+j, [2]int{side * j, side * i}, [2]int{side*j + side, side * i})
			line(1+v+i*n+j, [2]int{side * i, side * j}, [2]int{side * i, side*j + side})
		}
	}
	for i := range n * n {
		if x, y := side*(i%n)+4, side*(i/n)+4; i%2 == 0 {
			line(1+2*v+i, [2]int{x, y}, [2]int{x + 2, y}, [2]int{x + 2, y + 2}, [2]int{x, y + 2}, [2]int{x, y})
		}
	}
	fmt.Fprint(w, "LineEnd\nPolygonBegin\n")
	polygon := func(id, count int, refs string) {
		fmt.Fprintf(w, "%d\n2001010100\nunknown\n", id)
		if modern {
			fmt.Fprint(w, "100\n")
		}
		fmt.Fprint(w, "0.0,0.0\n")
		if modern {
			fmt.Fprint(w, "21\n")
		}
		fmt.Fprintf(w, "%d\n%s\n", count, refs)
		end()
	}
	const parcels, lakes = 1_000_000_000, 2_000_000_000
	for i := range n * n {
		y, x := i/n, i%n
		refs := fmt.Sprintf("%d,%d,-%d,-%d", 1+y*n+x, 1+v+(x+1)*n+y, 1+(y+1)*n+x, 1+v+x*n+y)
		if i%2 == 0 {
			polygon(parcels+i, 6, fmt.Sprintf("%s,0,%d", refs, 1+2*v+i))
			polygon(lakes+i, 1, fmt.Sprint(1+2*v+i))
		} else {
			polygon(parcels+i, 4, refs)
		}
	}
	fmt.Fprint(w, "PolygonEnd\nAttributeBegin\nDLTB\n")
	for i := range n * n {
		row := func(id int, code string, area int) {
			if skip == nil || !skip(id) {
				fmt.Fprintf(w, "%d,4307020000%08d,%s,%d.00\n", id, i, code, area)
			}
		}
		if i%2 == 0 {
			row(parcels+i, "0101", 96)
			row(lakes+i, "1104", 4)
		} else {
			row(parcels+i, "0101", 100)
		}
	}
	fmt.Fprint(w, "TableEnd\nAttributeEnd\n")
	return w.Flush()
}
