// Package tiles makes the map tiles of datasets: Mapbox Vector Tiles 2.1, cut
// from PostGIS rows in Go, one layer for a dataset, named by its ID.
//
// Coordinates come as longitude and latitude in degrees, EPSG:4490. Tiles of
// WebMercatorQuad and WorldCRS84Quad are drawn as if they were WGS 84, from which
// CGCS2000 differs by less than a pixel at every zoom.
//
// What the zoom decides, such as the attributes and the grid of polygons, is the
// same for tiles of the same width: level z of a set over degrees is treated as
// zoom z+1.
//
// Nothing here asks who the caller is: a caller holds the *catalog.Dataset from
// its catalog.View, and what it holds it may read.
package tiles
