// Package pmtiles reads and writes archives of tiles in the format PMTiles,
// version 3: one file that holds a header of 127 bytes, directories that say where
// each tile lies, metadata in JSON, and the tiles. A tile is known by the place it
// has on the Hilbert curves of all zooms laid end to end, see ID.
//
// Archives that this package writes hold vector tiles (MVT) compressed with gzip.
// They begin with 16 KiB for header and root directory, then come the tiles, the
// metadata and the leaf directories. Archives of others are read as long as their
// directories are compressed with gzip or not at all.
package pmtiles
