package pmtiles

import (
	"encoding/binary"
	"fmt"
	"math"
)

const (
	headerSize = 127
	// rootEnd is where header and root directory end at the latest.
	rootEnd = 16384
	maxRoot = rootEnd - headerSize
	magic   = "PMTiles"
	version = 3
)

// Compression is how directories and metadata, or tiles, are compressed.
type Compression uint8

// The compressions of the specification.
const (
	UnknownCompression Compression = iota
	NoCompression
	Gzip
	Brotli
	Zstd
)

// TileType is what the tiles are.
type TileType uint8

// The types of tiles this platform knows; the specification has more.
const (
	UnknownType TileType = iota
	MVT
)

// Section is a part of the archive, by its place in the file.
type Section struct{ Offset, Length uint64 }

// Header is the header of an archive. Positions are in degrees, longitude first.
type Header struct {
	Root, Metadata, Leaves, Tiles Section

	// Counts, 0 where they are unknown: of tiles, of the entries that name them,
	// and of contents, which tiles may share.
	Addressed, Entries, Contents uint64

	Clustered           bool // contents lie in the order of the ids
	InternalCompression Compression
	TileCompression     Compression
	TileType            TileType
	MinZoom, MaxZoom    int
	Bounds              [4]float64 // west, south, east, north
	Center              [2]float64
	CenterZoom          int
}

// append writes the header in its 127 bytes.
func (h Header) append(b []byte) []byte {
	b = append(b, magic...)
	b = append(b, version)
	for _, v := range [...]uint64{
		h.Root.Offset, h.Root.Length, h.Metadata.Offset, h.Metadata.Length,
		h.Leaves.Offset, h.Leaves.Length, h.Tiles.Offset, h.Tiles.Length,
		h.Addressed, h.Entries, h.Contents,
	} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	clustered := byte(0)
	if h.Clustered {
		clustered = 1
	}
	b = append(b, clustered, byte(h.InternalCompression), byte(h.TileCompression), byte(h.TileType), byte(h.MinZoom), byte(h.MaxZoom))
	for _, v := range h.Bounds {
		b = appendDegrees(b, v)
	}
	b = append(b, byte(h.CenterZoom))
	b = appendDegrees(b, h.Center[0])
	return appendDegrees(b, h.Center[1])
}

// degree is the number of units in a degree.
const degree = 10_000_000

func appendDegrees(b []byte, v float64) []byte {
	return binary.LittleEndian.AppendUint32(b, uint32(int32(math.Round(v*degree))))
}

func degrees(b []byte) float64 { return float64(int32(binary.LittleEndian.Uint32(b))) / degree }

// parseHeader reads the header of a file of that size. b has at least 127 bytes.
func parseHeader(b []byte, size int64) (h Header, err error) {
	if string(b[:7]) != magic {
		return h, corrupt("header", "文件开头没有 PMTiles 标识", "the file does not begin with PMTiles")
	}
	if b[7] != version {
		return h, unsupported(fmt.Sprintf("PMTiles 版本为 %d，只支持 3；请用 pmtiles convert 转换", b[7]), fmt.Sprintf("the version of PMTiles is %d, only 3 is read; convert it with pmtiles convert", b[7]))
	}
	word := func(at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }
	h = Header{
		Root: Section{word(8), word(16)}, Metadata: Section{word(24), word(32)},
		Leaves: Section{word(40), word(48)}, Tiles: Section{word(56), word(64)},
		Addressed: word(72), Entries: word(80), Contents: word(88),
		Clustered:           b[96] == 1,
		InternalCompression: Compression(b[97]), TileCompression: Compression(b[98]), TileType: TileType(b[99]),
		MinZoom: int(b[100]), MaxZoom: int(b[101]),
		Bounds: [4]float64{degrees(b[102:]), degrees(b[106:]), degrees(b[110:]), degrees(b[114:])},
		Center: [2]float64{degrees(b[119:]), degrees(b[123:])}, CenterZoom: int(b[118]),
	}
	return h, h.check(size)
}

// check holds the header against the size of the file.
func (h Header) check(size int64) error {
	for _, s := range [...]struct {
		Section
		name   string
		most   uint64
		zh, en string
	}{
		{h.Root, "root directory", maxRoot, "根目录", "the root directory"},
		{h.Metadata, "metadata", maxMetadata, "元数据", "the metadata"},
		{h.Leaves, "leaf directories", math.MaxUint64, "叶目录", "the leaf directories"},
		{h.Tiles, "tiles", math.MaxUint64, "瓦片数据", "the tile data"},
	} {
		if end := s.Offset + s.Length; end < s.Offset || end > uint64(size) {
			return corrupt(s.name, fmt.Sprintf("%s超出文件末尾（文件 %d 字节）", s.zh, size), fmt.Sprintf("%s: beyond the end of the file of %d bytes", s.en, size))
		}
		if s.Length > s.most {
			return corrupt(s.name, fmt.Sprintf("%s长 %d 字节，上限 %d", s.zh, s.Length, s.most), fmt.Sprintf("%s: %d bytes, at most %d are read", s.en, s.Length, s.most))
		}
	}
	switch {
	case h.Root.Length == 0 || h.Root.Offset < headerSize || h.Root.Offset+h.Root.Length > rootEnd:
		return corrupt("root directory", "根目录不在文件的前 16384 字节内", "the root directory is not within the first 16384 bytes")
	case h.InternalCompression != Gzip && h.InternalCompression != NoCompression:
		return unsupported(fmt.Sprintf("目录的压缩方式 %d 不予读取，只支持 gzip 或不压缩", h.InternalCompression),
			fmt.Sprintf("directories of compression %d are not read, only gzip or none", h.InternalCompression))
	case h.MinZoom > h.MaxZoom || h.MaxZoom > MaxZoom:
		return corrupt("header", fmt.Sprintf("级别范围 %d–%d 无效", h.MinZoom, h.MaxZoom), fmt.Sprintf("the zooms %d-%d are invalid", h.MinZoom, h.MaxZoom))
	}
	return nil
}
