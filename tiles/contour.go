package tiles

// contour draws the cells of a grid as polygons: for each class one multipolygon,
// whose parts are the cells that hang together by their sides.
type contour struct {
	grid   []int32 // class+1 by cell, row by row
	side   int
	unit   int32 // of a cell, in units of the tile
	labels []int32
	seen   []bool // the upper side of a cell has been followed
}

// draw returns the geometry of each class, by class; empty for those without cells.
func (t *contour) draw(classes int) []commands {
	t.label()
	t.seen = make([]bool, len(t.grid))
	// The outer bound of a part comes before its holes in the order of rows.
	parts := make(map[int32][][]vertex)
	var order []int32
	for y := range t.side {
		for x := range t.side {
			n := y*t.side + x
			if t.grid[n] == 0 || t.seen[n] || t.at(x, y-1) == t.labels[n] {
				continue
			}
			label := t.labels[n]
			if _, ok := parts[label]; !ok {
				order = append(order, label)
			}
			parts[label] = append(parts[label], t.follow(x, y)...)
		}
	}
	out := make([]commands, classes)
	for _, label := range order {
		c := &out[t.grid[label]-1]
		write := func(shells bool) {
			for _, g := range parts[label] {
				if doubleArea(g) > 0 == shells {
					c.ring(g)
				}
			}
		}
		write(true)
		write(false)
	}
	return out
}

// label gives cells that hang together the number of one of them.
func (t *contour) label() {
	t.labels = make([]int32, len(t.grid))
	find := func(n int32) int32 {
		for t.labels[n] != n {
			t.labels[n] = t.labels[t.labels[n]]
			n = t.labels[n]
		}
		return n
	}
	for y := range t.side {
		for x := range t.side {
			n := int32(y*t.side + x)
			t.labels[n] = n
			if x > 0 && t.grid[n-1] == t.grid[n] {
				t.labels[n] = find(n - 1)
			}
			if y > 0 && t.grid[n-int32(t.side)] == t.grid[n] {
				if up, own := find(n-int32(t.side)), find(n); up != own {
					t.labels[max(up, own)] = min(up, own)
				}
			}
		}
	}
	for n := range t.labels {
		t.labels[n] = find(int32(n))
	}
}

// at is the label of a cell, -1 beyond the tile.
func (t *contour) at(x, y int) int32 {
	if x < 0 || y < 0 || x >= t.side || y >= t.side {
		return -1
	}
	return t.labels[y*t.side+x]
}

// follow goes along the bound that begins at the upper left corner of a cell, with
// the cell's part to the right hand, and gives its rings. Where the part meets
// itself at a corner the bound is taken apart.
func (t *contour) follow(x, y int) (rings [][]vertex) {
	label := t.labels[y*t.side+x]
	steps := [4][2]int{{1, 0}, {0, 1}, {-1, 0}, {0, -1}}
	var path []vertex
	var pinches map[vertex]int
	startX, startY, way := x, y, 0
	for {
		if way == 0 {
			t.seen[y*t.side+x] = true
		}
		x, y = x+steps[way][0], y+steps[way][1]
		// The cells ahead, to the right hand and to the left.
		var right, left bool
		switch way {
		case 0:
			right, left = t.at(x, y) == label, t.at(x, y-1) == label
		case 1:
			right, left = t.at(x-1, y) == label, t.at(x, y) == label
		case 2:
			right, left = t.at(x-1, y-1) == label, t.at(x-1, y) == label
		default:
			right, left = t.at(x, y-1) == label, t.at(x-1, y-1) == label
		}
		if right && !left {
			continue
		}
		p := vertex{int32(x) * t.unit, int32(y) * t.unit}
		if !right && left { // two cells of the part meet here at their corners
			if from, ok := pinches[p]; ok {
				loop := append([]vertex(nil), path[from:]...)
				rings = append(rings, loop)
				path = path[:from]
				for q, at := range pinches {
					if at >= from {
						delete(pinches, q)
					}
				}
			}
			if pinches == nil {
				pinches = make(map[vertex]int)
			}
			pinches[p] = len(path)
		}
		path = append(path, p)
		if right {
			way = (way + 3) % 4
		} else {
			way = (way + 1) % 4
		}
		if x == startX && y == startY && way == 0 {
			return append(rings, path)
		}
	}
}
