package crs

import "fmt"

// checkPoints reads the points known in both systems.
func (d *decoder) checkPoints(o object) []CheckPoint {
	var points []CheckPoint
	for i, raw := range o.list("checkPoints", maxCheckPoints) {
		p, ok := openObject(fmt.Sprintf("%s[%d]", o.at("checkPoints"), i), raw, o.out)
		if !ok {
			continue
		}
		c := CheckPoint{Name: p.text("name", maxTitle, true), EPSG: epsgCGCS2000}
		if src, ok := p.object("source", true); ok {
			if !d.s.plane && d.s.source.method == geographic {
				c.Source = lonLatOf(src)
			} else {
				c.Source = eastNorthOf(src)
			}
			src.close()
		}
		if dst, ok := p.object("target", true); ok {
			if dst.has("epsg") || dst.has("east") {
				before := len(o.out.paths)
				c.EPSG = dst.whole("epsg", 1024, 32767, true)
				if q, known := ProjectionOf(c.EPSG); len(o.out.paths) == before && (!known || q.method != gauss) {
					o.out.add(dst.at("epsg"), "应为 CGCS2000 高斯-克吕格投影的代码（4491 至 4554），如 4546", "must be a code of CGCS2000 Gauss-Krueger (4491 to 4554), such as 4546")
				}
				c.Target = eastNorthOf(dst)
			} else {
				c.Target = lonLatOf(dst)
			}
			dst.close()
		}
		p.close()
		points = append(points, c)
	}
	return points
}

func lonLatOf(o object) [2]float64 {
	return [2]float64{o.number("lon", -180, 180, true), o.number("lat", -90, 90, true)}
}

func eastNorthOf(o object) [2]float64 {
	return [2]float64{o.number("east", -maxPlane, maxPlane, true), o.number("north", -maxPlane, maxPlane, true)}
}
