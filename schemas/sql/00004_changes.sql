-- +goose Up

-- Each content lists the rows of its changes in a table of its own: an index on the
-- revision of the rows themselves would have to be kept by every change of a row,
-- even of one that touches no other index, and be built over all of a first load.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION changde.keep_history(content text, base bigint, key text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TABLE content.%I (LIKE content.%I INCLUDING DEFAULTS)', content || '_h', content);
    EXECUTE format('ALTER TABLE content.%I ADD COLUMN until bigint NOT NULL', content || '_h');
    EXECUTE format('CREATE INDEX ON content.%I (fid)', content || '_h');
    EXECUTE format('CREATE INDEX ON content.%I (until)', content || '_h');
    EXECUTE format('CREATE INDEX ON content.%I USING gist (geom)', content || '_h');
    IF key IS NOT NULL THEN
        EXECUTE format('CREATE INDEX ON content.%I (%I)', content || '_h', key);
    END IF;
    EXECUTE format('CREATE TABLE content.%I (rev bigint, fid bigint, PRIMARY KEY (rev, fid))', content || '_c');
END
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION changde.keep_history IS '为内容表建立历史表 _h（被替换的行及其有效修订号区间 [rev, until)）与变化表 _c（每个修订号改动了哪些要素）';

-- +goose StatementBegin
DO $$
DECLARE
    kept record;
    old regclass;
BEGIN
    FOR kept IN
        SELECT substr(relation, 9) AS name, min(revision) AS base FROM changde.releases
        WHERE relation LIKE 'content.%' GROUP BY relation
    LOOP
        EXECUTE format('CREATE TABLE content.%I (rev bigint, fid bigint, PRIMARY KEY (rev, fid))', kept.name || '_c');
        EXECUTE format('INSERT INTO content.%I SELECT rev, fid FROM content.%I WHERE rev > %s
                        UNION SELECT rev, fid FROM content.%I WHERE rev > %s UNION SELECT until, fid FROM content.%I',
                       kept.name || '_c', kept.name, kept.base, kept.name || '_h', kept.base, kept.name || '_h');
        FOR old IN
            SELECT i.indexrelid::regclass FROM pg_index i
            WHERE i.indrelid = format('content.%I', kept.name)::regclass AND i.indpred IS NOT NULL
        LOOP
            EXECUTE format('DROP INDEX %s', old);
        END LOOP;
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'changde_api')
           AND has_table_privilege('changde_api', format('content.%I', kept.name || '_h'), 'INSERT') THEN
            EXECUTE format('GRANT INSERT ON content.%I TO changde_api', kept.name || '_c');
        END IF;
    END LOOP;
END
$$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION changde.keep_history(content text, base bigint, key text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TABLE content.%I (LIKE content.%I INCLUDING DEFAULTS)', content || '_h', content);
    EXECUTE format('ALTER TABLE content.%I ADD COLUMN until bigint NOT NULL', content || '_h');
    EXECUTE format('CREATE INDEX ON content.%I (fid)', content || '_h');
    EXECUTE format('CREATE INDEX ON content.%I (until)', content || '_h');
    EXECUTE format('CREATE INDEX ON content.%I USING gist (geom)', content || '_h');
    IF key IS NOT NULL THEN
        EXECUTE format('CREATE INDEX ON content.%I (%I)', content || '_h', key);
    END IF;
    EXECUTE format('CREATE INDEX ON content.%I (rev, fid) WHERE rev > %s', content, base);
END
$$;
-- +goose StatementEnd
-- +goose StatementBegin
DO $$
DECLARE
    kept record;
BEGIN
    FOR kept IN
        SELECT substr(relation, 9) AS name, min(revision) AS base FROM changde.releases
        WHERE relation LIKE 'content.%' GROUP BY relation
    LOOP
        EXECUTE format('DROP TABLE content.%I', kept.name || '_c');
        EXECUTE format('CREATE INDEX ON content.%I (rev, fid) WHERE rev > %s', kept.name, kept.base);
    END LOOP;
END
$$;
-- +goose StatementEnd
