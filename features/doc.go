// Package features reads the features of a dataset's release and writes them as
// GeoJSON (RFC 7946). Coordinates are longitude and latitude in degrees,
// EPSG:4490, which for GeoJSON's purposes is OGC:CRS84.
//
// Nothing here asks who the caller is: a caller holds the *catalog.Dataset from
// its catalog.View, and what it holds it may read.
package features
