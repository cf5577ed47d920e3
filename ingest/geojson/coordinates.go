package geojson

import "fmt"

// open takes the bracket of an array of coordinates.
func (s *shape) open() *rowError {
	if s.c.next() == '[' {
		s.c.i++
		return nil
	}
	if ch := s.c.next(); ch == '-' || ch-'0' <= 9 {
		return s.c.fail("coordinate-nesting", "坐标数组的层数少于该几何类型所需", "the coordinates have fewer levels of brackets than the type needs")
	}
	return s.notNumber("坐标数组", "an array of coordinates")
}

// notNumber describes what stands where a number or an array should be.
func (s *shape) notNumber(zh, en string) *rowError {
	switch s.c.next() {
	case '"':
		return s.c.fail("coordinate-not-number", "坐标是字符串，应为不带引号的数字", "a coordinate is a string; numbers are written without quotes")
	case 'n', 't', 'f':
		w := s.c.word()
		return s.c.fail("coordinate-not-number", fmt.Sprintf("坐标是 %s，应为数字", w), fmt.Sprintf("a coordinate is %s, not a number", w))
	case '[':
		return s.c.fail("coordinate-nesting", "坐标数组的层数多于该几何类型所需", "the coordinates have more levels of brackets than the type needs")
	case '{':
		return s.c.fail("coordinate-not-number", "坐标是对象，应为数字", "a coordinate is an object, not a number")
	}
	return s.c.unexpected(zh, en)
}

// position reads the numbers of one position, whose bracket was taken, and adds it
// to the coordinates in hand.
func (s *shape) position() *rowError {
	var v [4]float64
	n := 0
	begin := s.c.i
	for first := true; ; first = false {
		ok, err := s.c.more(first, ']')
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if n == len(v) {
			s.c.i = begin
			return s.c.fail("position-dimension", "坐标多于四个数", "a position has more than four numbers")
		}
		ch := s.c.next()
		if ch != '-' && ch-'0' > 9 {
			switch ch {
			case 'N', 'I', '+', '.':
				return s.c.badNumber()
			}
			return s.notNumber("数字", "a number")
		}
		if v[n], err = s.c.float(); err != nil {
			return err
		}
		n++
	}
	if n < 2 {
		s.c.i = begin
		return s.c.fail("position-dimension", fmt.Sprintf("坐标有 %d 个数，应为经度（或 X）、纬度（或 Y）两个数", n), fmt.Sprintf("a position has %d numbers; it needs two, longitude (or X) and latitude (or Y)", n))
	}
	if n == 4 {
		s.notes |= noteM
		n = 3
	}
	switch {
	case s.dim == 0:
		s.dim = n
	case s.dim < n:
		s.notes |= noteMixed
	case s.dim > n:
		s.notes |= noteMixed
		s.flatten()
	}
	s.flat = append(s.flat, v[:s.dim]...)
	return nil
}

// flatten takes Z out of the coordinates in hand.
func (s *shape) flatten() {
	for i, j := 0, 0; i < len(s.flat); i, j = i+3, j+2 {
		s.flat[j], s.flat[j+1] = s.flat[i], s.flat[i+1]
	}
	s.flat = s.flat[:len(s.flat)/3*2]
	for i := range s.ends {
		s.ends[i] = s.ends[i] / 3 * 2
	}
	for _, ends := range s.endss {
		for i := range ends {
			ends[i] = ends[i] / 3 * 2
		}
	}
	s.dim = 2
}

// point reads a position or [].
func (s *shape) point() *rowError {
	if err := s.open(); err != nil {
		return err
	}
	if s.c.next() == ']' {
		s.c.i++
		return nil
	}
	return s.position()
}

// positions reads an array of positions.
func (s *shape) positions() *rowError {
	if err := s.open(); err != nil {
		return err
	}
	for first := true; ; first = false {
		ok, err := s.c.more(first, ']')
		if err != nil || !ok {
			return err
		}
		if err := s.open(); err != nil {
			return err
		}
		if err := s.position(); err != nil {
			return err
		}
	}
}

// lines reads an array of lines, or of rings.
func (s *shape) lines(rings bool) *rowError {
	if err := s.open(); err != nil {
		return err
	}
	hole := false // the exterior ring was empty
	for first := true; ; first = false {
		ok, err := s.c.more(first, ']')
		if err != nil || !ok {
			return err
		}
		s.c.next()
		// Positions are counted, because flatten may shorten what came before.
		begin, before := s.c.i, s.count()
		if err := s.positions(); err != nil {
			return err
		}
		if s.count() == before {
			hole = hole || (rings && first)
			s.notes |= notePart
			continue
		}
		n := s.count() - before
		switch {
		case hole:
			s.c.i = begin
			return s.c.fail("ring-order", "面的外环为空，却有内环", "the exterior ring is empty and yet there are interior rings")
		case rings:
			n = s.close(before, n)
			if n < 4 {
				s.c.i = begin
				return s.c.fail("ring-too-short", "环少于四个坐标（首尾相同计两个）", "a ring has fewer than four positions (first and last are the same and count twice)")
			}
		case n < 2:
			s.c.i = begin
			return s.c.fail("line-too-short", "线少于两个坐标", "a line has fewer than two positions")
		}
		s.ends = append(s.ends, len(s.flat))
	}
}

// count is the number of positions in hand.
func (s *shape) count() int {
	if s.dim == 0 {
		return 0
	}
	return len(s.flat) / s.dim
}

// close closes the ring of n positions after the first `before` ones, and returns
// its new length.
func (s *shape) close(before, n int) int {
	from, to := before*s.dim, len(s.flat)-s.dim
	if s.flat[from] == s.flat[to] && s.flat[from+1] == s.flat[to+1] {
		return n
	}
	s.notes |= noteUnclosed
	s.flat = append(s.flat, s.flat[from:from+s.dim]...)
	return n + 1
}

// polygons reads an array of polygons.
func (s *shape) polygons() *rowError {
	if err := s.open(); err != nil {
		return err
	}
	for first := true; ; first = false {
		ok, err := s.c.more(first, ']')
		if err != nil || !ok {
			return err
		}
		before := s.count()
		s.ends = nil // kept in endss
		if err := s.lines(true); err != nil {
			return err
		}
		if s.count() == before {
			s.notes |= notePart
			continue
		}
		s.endss = append(s.endss, s.ends)
	}
}
