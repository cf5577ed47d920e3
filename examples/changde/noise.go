package changde

import "math"

// mix is the finaliser of splitmix64: every bit of the result depends on every
// bit of a. Values drawn from it by place, not by order, make any part of the
// city the same however much of it is written.
func mix(a uint64) uint64 {
	a += 0x9e3779b97f4a7c15
	a = (a ^ a>>30) * 0xbf58476d1ce4e5b9
	a = (a ^ a>>27) * 0x94d049bb133111eb
	return a ^ a>>31
}

// hash of a few numbers.
func hash(parts ...uint64) uint64 {
	h := uint64(0x51_7c_c1_b7_27_22_0a_95)
	for _, p := range parts {
		h = mix(h ^ p)
	}
	return h
}

// unit turns a hash into a number in [0,1).
func unit(h uint64) float64 { return float64(h>>11) / (1 << 53) }

// noise is smooth value noise in [0,1] with features about size metres across.
func noise(seed uint64, x, y, size float64) float64 {
	x, y = x/size, y/size
	fx, fy := math.Floor(x), math.Floor(y)
	i, j := int64(fx), int64(fy)
	x, y = x-fx, y-fy
	x, y = x*x*(3-2*x), y*y*(3-2*y)
	at := func(i, j int64) float64 { return unit(mix(seed ^ uint64(i)*0x9e3779b1<<20 ^ uint64(j)*0x85ebca77)) }
	a, b := at(i, j), at(i, j+1)
	a += (at(i+1, j) - a) * x
	b += (at(i+1, j+1) - b) * x
	return a + (b-a)*y
}

// fbm adds a finer octave to noise, in [0,1].
func fbm(seed uint64, x, y, size float64) float64 {
	return (2*noise(seed, x, y, size) + noise(seed^0xfb, x, y, size/2.3)) / 3
}
