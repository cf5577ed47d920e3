// Package postgis is the door to the database: the pool, the SQL builder, the
// EWKB codec, notifications, and the private cluster that "changde dev" and the
// tests run. It knows nothing of datasets; the SQL of each subject stands in the
// package of that subject.
//
// Geometry crosses this door as EWKB bytes, the Extended Well-Known Binary of
// PostGIS (doc/ZMSgeoms.txt in its sources), in both directions.
package postgis
