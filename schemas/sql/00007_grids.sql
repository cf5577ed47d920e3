-- +goose Up
-- The grids beside WebMercatorQuad whose tiles are cut before a release too.
ALTER TABLE changde.datasets
    ADD COLUMN grids text[] NOT NULL DEFAULT '{}'
        CONSTRAINT datasets_grids_check CHECK (grids <@ ARRAY['CGCS2000Quad'] AND cardinality(grids) <= 1);
COMMENT ON COLUMN changde.datasets.grids IS '除 WebMercatorQuad 外，发布前预先切片的瓦片矩阵集 / tile matrix sets beside WebMercatorQuad that are cut before a release';

-- +goose Down
ALTER TABLE changde.datasets DROP COLUMN grids;
