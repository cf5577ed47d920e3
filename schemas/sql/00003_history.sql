-- +goose Up

-- Who may do what: a key has a role in its organisation -----------------------

ALTER TABLE changde.keys ADD COLUMN role text NOT NULL DEFAULT 'reader' CHECK (role IN ('reader', 'contributor', 'approver'));
COMMENT ON COLUMN changde.keys.role IS 'reader 查阅；contributor 交付、编辑；approver 另可审批本单位数据集的交付';

-- Contents keep their superseded rows ------------------------------------------

ALTER TABLE changde.datasets
    ADD COLUMN profile  text NOT NULL DEFAULT '',
    ADD COLUMN approval text NOT NULL DEFAULT 'automatic' CHECK (approval IN ('automatic', 'approval', 'four-eyes')),
    ADD COLUMN editable boolean NOT NULL DEFAULT false,
    ADD COLUMN metadata jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN relation text,
    ADD COLUMN rows     bigint NOT NULL DEFAULT 0,
    ADD COLUMN extent   double precision[] CHECK (array_length(extent, 1) = 4);
COMMENT ON COLUMN changde.datasets.approval IS 'automatic 检查无阻断即发布；approval 须审批；four-eyes 审批人须不同于交付人';
COMMENT ON COLUMN changde.datasets.metadata IS '核心元数据（GB/T 19710）中平台自身不知道的部分：topic 专题类别、secrecy 密级、scale、lineage、contact 等';
COMMENT ON COLUMN changde.datasets.relation IS '当前内容表；空为尚未发布，或行直接存于平台表';
COMMENT ON COLUMN changde.datasets.rows IS '当前行数，含发布之后的接口编辑';

CREATE TABLE changde.revisions (
    dataset      text NOT NULL REFERENCES changde.datasets,
    revision     bigint NOT NULL,
    relation     text,
    release      integer,
    delivery     bigint REFERENCES changde.deliveries,
    kind         text NOT NULL CHECK (kind IN ('release', 'rollback', 'edit', 'settings')),
    actor        text NOT NULL DEFAULT '',
    organisation text NOT NULL DEFAULT '',
    document     text NOT NULL DEFAULT '',
    note         text NOT NULL DEFAULT '',
    sharing      text NOT NULL DEFAULT 'public' CHECK (sharing IN ('public', 'internal', 'private')),
    committed_at timestamptz NOT NULL,
    PRIMARY KEY (dataset, revision)
);
CREATE INDEX revisions_time_idx ON changde.revisions (dataset, committed_at);
COMMENT ON TABLE changde.revisions IS '数据集的每次提交：谁、何时、依据什么文号；某一时刻的状态由此查得';
COMMENT ON COLUMN changde.revisions.sharing IS '提交时的共享方式：之后放宽不会公开当时的状态';
COMMENT ON COLUMN changde.revisions.committed_at IS '同一数据集内严格递增，系统时钟回拨时也不例外';

ALTER TABLE changde.releases
    ADD COLUMN difference jsonb,
    ADD COLUMN statistics jsonb,
    ADD COLUMN document text NOT NULL DEFAULT '',
    ADD COLUMN actor text NOT NULL DEFAULT '';
COMMENT ON COLUMN changde.releases.difference IS '与上一版相比的统计';
COMMENT ON COLUMN changde.releases.statistics IS '分类的行数与面积（平方米，椭球面）';

CREATE SCHEMA jobs;
COMMENT ON SCHEMA jobs IS '作业队列（River）';

CREATE SCHEMA difference;
COMMENT ON SCHEMA difference IS '每次交付的变化清单 d<交付号>：增、删、改的要素与其位置';

-- +goose StatementBegin
CREATE FUNCTION changde.keep_history(content text, base bigint, key text) RETURNS void LANGUAGE plpgsql AS $$
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
COMMENT ON FUNCTION changde.keep_history IS '为内容表建立历史表：被替换的行及其有效修订号区间 [rev, until)';

-- +goose StatementBegin
DO $$
DECLARE
    kept record;
    own text;
BEGIN
    FOR kept IN
        SELECT substr(r.relation, 9) AS name, min(r.revision) AS base, d.business_key AS key
        FROM changde.releases r JOIN changde.datasets d ON d.id = r.dataset
        WHERE r.relation LIKE 'content.%' GROUP BY r.relation, d.business_key
    LOOP
        -- A delivered field may have a name that contents use from here on.
        FOREACH own IN ARRAY ARRAY['hash', 'until'] LOOP
            IF EXISTS (SELECT FROM information_schema.columns WHERE table_schema = 'content' AND table_name = kept.name AND column_name = own) THEN
                EXECUTE format('ALTER TABLE content.%I RENAME COLUMN %I TO %I', kept.name, own, own || '_');
                UPDATE changde.releases r SET columns = (
                    SELECT jsonb_agg(CASE WHEN c->>'name' = own THEN jsonb_set(c, '{name}', to_jsonb(own || '_')) ELSE c END ORDER BY n)
                    FROM jsonb_array_elements(r.columns) WITH ORDINALITY e(c, n))
                WHERE r.relation = 'content.' || kept.name;
            END IF;
        END LOOP;
        EXECUTE format('ALTER TABLE content.%I ADD COLUMN hash bigint', kept.name);
        IF NOT EXISTS (SELECT FROM information_schema.columns
                       WHERE table_schema = 'content' AND table_name = kept.name AND column_name = kept.key) THEN
            kept.key := NULL;
        END IF;
        PERFORM changde.keep_history(kept.name, kept.base, kept.key);
    END LOOP;
    UPDATE changde.datasets d SET relation = r.relation, rows = r.rows, extent = r.extent
    FROM changde.releases r WHERE r.dataset = d.id AND r.release = d.release AND d.kind = 'delivered';
    INSERT INTO changde.revisions (dataset, revision, relation, release, delivery, kind, note, sharing, committed_at)
    SELECT dataset, revision, relation, release, delivery, CASE WHEN restores IS NULL THEN 'release' ELSE 'rollback' END, note, sharing,
           released_at + release * interval '1 microsecond'
    FROM changde.releases WHERE relation LIKE 'content.%';
END
$$;
-- +goose StatementEnd

-- Deliveries wait, are checked, compared and decided ----------------------------

ALTER TABLE changde.deliveries DROP CONSTRAINT deliveries_state_check;
ALTER TABLE changde.deliveries ADD CONSTRAINT deliveries_state_check CHECK (state IN
    ('receiving', 'received', 'inspected', 'loading', 'staged', 'checked', 'awaiting', 'released', 'rejected', 'withdrawn', 'failed', 'split'));
DROP INDEX changde.deliveries_open_idx;
CREATE INDEX deliveries_open_idx ON changde.deliveries (id) WHERE state IN ('receiving', 'received', 'inspected', 'loading', 'staged', 'checked', 'awaiting');
CREATE INDEX deliveries_sha256_idx ON changde.deliveries (sha256);
ALTER TABLE changde.deliveries
    ALTER COLUMN dataset DROP NOT NULL,
    ALTER COLUMN sha256 DROP NOT NULL,
    ALTER COLUMN plan DROP NOT NULL,
    ADD COLUMN request       jsonb,
    ADD COLUMN depot         boolean NOT NULL DEFAULT false,
    ADD COLUMN parent        bigint REFERENCES changde.deliveries,
    ADD COLUMN mode          text NOT NULL DEFAULT 'full' CHECK (mode IN ('full', 'changes', 'append')),
    ADD COLUMN profile       text NOT NULL DEFAULT '',
    ADD COLUMN actor         text NOT NULL DEFAULT '',
    ADD COLUMN actors        text[] NOT NULL DEFAULT '{}',
    ADD COLUMN dataset_revision bigint,
    ADD COLUMN document      text NOT NULL DEFAULT '',
    ADD COLUMN note          text NOT NULL DEFAULT '',
    ADD COLUMN progress      jsonb,
    ADD COLUMN base_revision bigint,
    ADD COLUMN base_relation text,
    ADD COLUMN difference    jsonb,
    ADD COLUMN statistics    jsonb,
    ADD COLUMN rules         jsonb,
    ADD COLUMN blocking      bigint NOT NULL DEFAULT 0,
    ADD COLUMN errors        bigint NOT NULL DEFAULT 0,
    ADD COLUMN warnings      bigint NOT NULL DEFAULT 0,
    ADD COLUMN codes         jsonb,
    ADD COLUMN confirm       boolean NOT NULL DEFAULT false,
    ADD COLUMN transformation jsonb,
    ADD COLUMN cancelled     boolean NOT NULL DEFAULT false;
CREATE UNIQUE INDEX deliveries_parcel_idx ON changde.deliveries ((request->>'parcel')) WHERE parent IS NULL;
COMMENT ON COLUMN changde.deliveries.state IS 'receiving 接收中，received 已接收，inspected 已探查，loading 入库中，staged 已入暂存表，checked 已检查比对，awaiting 待审批，released 已发布，rejected 已退回，withdrawn 已撤回，failed 失败，split 已分为多个交付';
COMMENT ON COLUMN changde.deliveries.confirm IS '变化超出常规（Q20），须人确认';
COMMENT ON COLUMN changde.deliveries.transformation IS '所用坐标转换的标识与检核点残差，不含参数';

ALTER TABLE changde.findings
    ADD COLUMN rule     text NOT NULL DEFAULT 'Q04',
    ADD COLUMN severity text NOT NULL DEFAULT 'error' CHECK (severity IN ('block', 'error', 'warn')),
    ADD COLUMN file     text NOT NULL DEFAULT '',
    ADD COLUMN before   text NOT NULL DEFAULT '',
    ADD COLUMN after    text NOT NULL DEFAULT '';

CREATE TABLE changde.decisions (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    delivery     bigint NOT NULL REFERENCES changde.deliveries,
    action       text NOT NULL CHECK (action IN ('approve', 'reject', 'withdraw', 'retry', 'cancel')),
    actor        text NOT NULL,
    organisation text NOT NULL DEFAULT '',
    document     text NOT NULL DEFAULT '',
    note         text NOT NULL DEFAULT '',
    decided_at   timestamptz NOT NULL DEFAULT now(),
    difference   text,
    carried_at   timestamptz,
    error        text
);
COMMENT ON COLUMN changde.decisions.difference IS '所决定的差异的摘要：之后重新比对过的，须重新决定';
CREATE INDEX decisions_delivery_idx ON changde.decisions (delivery, id);

CREATE TABLE changde.audit (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at           timestamptz NOT NULL DEFAULT now(),
    actor        text NOT NULL,
    organisation text NOT NULL DEFAULT '',
    action       text NOT NULL,
    object       text NOT NULL,
    detail       jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_object_idx ON changde.audit (object, id);
COMMENT ON TABLE changde.audit IS '只增不改的操作记录';

-- +goose StatementBegin
CREATE FUNCTION changde.audit_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit is never changed';
END
$$;
-- +goose StatementEnd
CREATE TRIGGER audit_is_final BEFORE UPDATE OR DELETE OR TRUNCATE ON changde.audit
    FOR EACH STATEMENT EXECUTE FUNCTION changde.audit_is_final();

-- The queue's library makes its own tables; what the server's role may do there is
-- said after it has.
-- +goose StatementBegin
CREATE FUNCTION changde.grant_jobs() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'changde_api') THEN
        GRANT USAGE ON SCHEMA jobs TO changde_api;
        GRANT SELECT, INSERT, UPDATE (kind) ON jobs.river_job TO changde_api;
        GRANT USAGE ON ALL SEQUENCES IN SCHEMA jobs TO changde_api;
    END IF;
END
$$;
-- +goose StatementEnd

-- What a sender sent last time is how it is read the next time -------------------

CREATE TABLE changde.mappings (
    sender   text NOT NULL,
    pattern  text NOT NULL,
    dataset  text NOT NULL REFERENCES changde.datasets,
    request  jsonb NOT NULL DEFAULT '{}',
    used_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (sender, pattern)
);
COMMENT ON TABLE changde.mappings IS '交付单位的图层名与数据集的对应，随成功的交付记住';

CREATE TABLE changde.webhooks (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organisation text REFERENCES changde.organisations,
    dataset      text REFERENCES changde.datasets,
    url          text NOT NULL CHECK (url ~ '^https?://'),
    created_at   timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN changde.webhooks.dataset IS '空为该单位可见的所有数据集';

-- What the server's role must never read ------------------------------------------

CREATE SCHEMA secret;
COMMENT ON SCHEMA secret IS '坐标转换参数与回调密钥：对外服务的角色无权读取';
REVOKE ALL ON SCHEMA secret FROM PUBLIC;
CREATE TABLE secret.transformations (
    id         text PRIMARY KEY CHECK (id ~ '^[a-z][a-z0-9-]{0,40}$'),
    document   text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    actor      text NOT NULL
);
CREATE TABLE secret.webhooks (
    webhook bigint PRIMARY KEY REFERENCES changde.webhooks ON DELETE CASCADE,
    key     bytea NOT NULL CHECK (length(key) >= 16)
);

-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'changde_api') THEN
        GRANT SELECT ON ALL TABLES IN SCHEMA changde TO changde_api;
        GRANT USAGE ON SCHEMA difference TO changde_api;
        ALTER DEFAULT PRIVILEGES IN SCHEMA difference GRANT SELECT ON TABLES TO changde_api;
        GRANT INSERT (dataset, sender, files, bytes, sha256, state, relation, request, depot, parent, mode, actor, actors, document, note) ON changde.deliveries TO changde_api;
        GRANT UPDATE (files, bytes, sha256, state, plan, request, actors, cancelled, error, finished_at) ON changde.deliveries TO changde_api;
        GRANT INSERT ON changde.decisions, changde.audit, changde.revisions TO changde_api;
        GRANT INSERT (id, title_zh) ON changde.datasets TO changde_api;
        GRANT UPDATE (revision, rows, extent, updated_at) ON changde.datasets TO changde_api;
    END IF;
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP SCHEMA secret, difference, jobs CASCADE;
DROP TABLE changde.webhooks, changde.mappings, changde.audit, changde.decisions, changde.revisions;
DROP FUNCTION changde.audit_is_final(), changde.grant_jobs(), changde.keep_history(text, bigint, text);
ALTER TABLE changde.findings DROP COLUMN rule, DROP COLUMN severity, DROP COLUMN file, DROP COLUMN before, DROP COLUMN after;
DROP INDEX changde.deliveries_sha256_idx;
DROP INDEX changde.deliveries_open_idx;
ALTER TABLE changde.deliveries DROP CONSTRAINT deliveries_state_check;
UPDATE changde.deliveries SET state = 'failed', error = coalesce(error, state) WHERE state NOT IN ('released', 'failed');
UPDATE changde.deliveries SET parent = NULL;
DELETE FROM changde.deliveries WHERE dataset IS NULL;
UPDATE changde.deliveries SET sha256 = coalesce(sha256, ''), plan = coalesce(plan, '{}');
ALTER TABLE changde.deliveries ADD CONSTRAINT deliveries_state_check CHECK (state IN ('loading', 'staged', 'released', 'failed'));
CREATE INDEX deliveries_open_idx ON changde.deliveries (id) WHERE state IN ('loading', 'staged');
ALTER TABLE changde.deliveries ALTER COLUMN dataset SET NOT NULL, ALTER COLUMN sha256 SET NOT NULL, ALTER COLUMN plan SET NOT NULL,
    DROP COLUMN request, DROP COLUMN depot, DROP COLUMN parent, DROP COLUMN mode, DROP COLUMN profile, DROP COLUMN actor, DROP COLUMN actors, DROP COLUMN dataset_revision, DROP COLUMN document, DROP COLUMN note,
    DROP COLUMN progress, DROP COLUMN base_revision, DROP COLUMN base_relation, DROP COLUMN difference, DROP COLUMN statistics, DROP COLUMN rules, DROP COLUMN blocking,
    DROP COLUMN errors, DROP COLUMN warnings, DROP COLUMN codes, DROP COLUMN confirm, DROP COLUMN transformation, DROP COLUMN cancelled;
-- +goose StatementBegin
DO $$
DECLARE
    content text;
BEGIN
    -- Releases whose rows were changed in place since then cannot be told apart
    -- without the history: their content is no longer kept.
    UPDATE changde.releases r SET relation = NULL FROM changde.datasets d
    WHERE d.id = r.dataset AND d.kind = 'delivered' AND r.revision < (SELECT max(o.revision) FROM changde.releases o WHERE o.relation = r.relation);
    FOR content IN SELECT tablename FROM pg_tables WHERE schemaname = 'content' AND tablename LIKE '%\_h' LOOP
        EXECUTE format('DROP TABLE content.%I', content);
    END LOOP;
    FOR content IN SELECT DISTINCT substr(relation, 9) FROM changde.releases WHERE relation LIKE 'content.%' LOOP
        EXECUTE format('ALTER TABLE content.%I DROP COLUMN IF EXISTS hash', content);
    END LOOP;
END
$$;
-- +goose StatementEnd
ALTER TABLE changde.releases DROP COLUMN difference, DROP COLUMN statistics, DROP COLUMN document, DROP COLUMN actor;
ALTER TABLE changde.datasets DROP COLUMN profile, DROP COLUMN approval, DROP COLUMN editable, DROP COLUMN metadata, DROP COLUMN relation, DROP COLUMN rows, DROP COLUMN extent;
ALTER TABLE changde.keys DROP COLUMN role;
