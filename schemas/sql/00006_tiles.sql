-- +goose Up
ALTER TABLE changde.datasets ADD COLUMN tiles jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(tiles) = 'object');
COMMENT ON COLUMN changde.datasets.tiles IS '瓦片规则：rank 为分类值，按重要性从高到低，* 结尾为前缀；attributes 为 14 级以下从某级起另带的字段';

-- +goose Down
ALTER TABLE changde.datasets DROP COLUMN tiles;
