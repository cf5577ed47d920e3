-- +goose Up
CREATE EXTENSION IF NOT EXISTS postgis;

CREATE SCHEMA changde;
COMMENT ON SCHEMA changde IS '平台自身的表：单位、数据集、交付、版本、项目 / the platform''s own tables';
CREATE SCHEMA content;
COMMENT ON SCHEMA content IS '每次交付的内容表，发布后不改名 / one table for each delivery''s content, never renamed';
CREATE SCHEMA data;
COMMENT ON SCHEMA data IS '每个数据集一个视图，指向当前版本 / one view for each dataset on its current content';

-- Organisations and keys ------------------------------------------------------

CREATE TABLE changde.organisations (
    id         text PRIMARY KEY CHECK (id ~ '^[a-z][a-z0-9_-]{0,62}$'),
    name_zh    text NOT NULL CHECK (name_zh <> ''),
    name_en    text NOT NULL DEFAULT '',
    admin      boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN changde.organisations.admin IS '平台管理单位：可见全部数据集，可登记项目';

CREATE TABLE changde.keys (
    id           text PRIMARY KEY CHECK (id ~ '^[a-z0-9]{8}$'),
    organisation text NOT NULL REFERENCES changde.organisations,
    label        text NOT NULL DEFAULT '',
    hash         bytea NOT NULL CHECK (length(hash) = 32),
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz,
    revoked_at   timestamptz
);
CREATE INDEX keys_organisation_idx ON changde.keys (organisation);

-- Datasets and releases -------------------------------------------------------

CREATE TABLE changde.datasets (
    id            text PRIMARY KEY CHECK (id ~ '^[a-z][a-z0-9_]{0,40}$'),
    title_zh      text NOT NULL,
    title_en      text NOT NULL DEFAULT '',
    description   text NOT NULL DEFAULT '',
    owner         text REFERENCES changde.organisations,
    sharing       text NOT NULL DEFAULT 'internal' CHECK (sharing IN ('public', 'internal', 'private')),
    kind          text NOT NULL DEFAULT 'delivered' CHECK (kind IN ('delivered', 'edited')),
    box           double precision[] CHECK (array_length(box, 1) = 4),
    business_key  text,
    label         text,
    class         text,
    time_column   text,
    attribution   text NOT NULL DEFAULT '',
    synthetic     boolean NOT NULL DEFAULT false,
    release       integer NOT NULL DEFAULT 0,
    revision      bigint NOT NULL DEFAULT 0,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN changde.datasets.sharing IS 'public 公开；internal 任何单位持钥匙可见；private 仅所属单位';
COMMENT ON COLUMN changde.datasets.kind IS 'delivered 由交付发布；edited 由接口编辑（项目、资产）';
COMMENT ON COLUMN changde.datasets.box IS '坐标允许范围 [西, 南, 东, 北]，度，EPSG:4490；空为城市配置的范围';
COMMENT ON COLUMN changde.datasets.release IS '当前版本号；0 为尚未发布';
COMMENT ON COLUMN changde.datasets.revision IS '每次提交的改动（发布、回退、编辑）加一';

CREATE TABLE changde.deliveries (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    dataset     text NOT NULL REFERENCES changde.datasets,
    sender      text REFERENCES changde.organisations,
    files       text[] NOT NULL,
    bytes       bigint NOT NULL,
    sha256      bytea NOT NULL,
    state       text NOT NULL CHECK (state IN ('loading', 'staged', 'released', 'failed')),
    plan        jsonb NOT NULL,
    relation    text NOT NULL,
    rows_read   bigint NOT NULL DEFAULT 0,
    published   bigint NOT NULL DEFAULT 0,
    repaired    bigint NOT NULL DEFAULT 0,
    refused     bigint NOT NULL DEFAULT 0,
    noted       bigint NOT NULL DEFAULT 0,
    geometry_type text,
    columns     jsonb,
    extent      double precision[] CHECK (array_length(extent, 1) = 4),
    error       text,
    started_at  timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
);
CREATE INDEX deliveries_dataset_idx ON changde.deliveries (dataset, id);
CREATE INDEX deliveries_open_idx ON changde.deliveries (id) WHERE state IN ('loading', 'staged');
COMMENT ON COLUMN changde.deliveries.relation IS 'content 模式下的内容表名';

CREATE TABLE changde.releases (
    dataset       text NOT NULL REFERENCES changde.datasets,
    release       integer NOT NULL CHECK (release > 0),
    revision      bigint NOT NULL,
    delivery      bigint REFERENCES changde.deliveries,
    restores      integer,
    relation      text,
    geometry_type text NOT NULL,
    columns       jsonb NOT NULL,
    rows          bigint NOT NULL,
    extent        double precision[] CHECK (array_length(extent, 1) = 4),
    sharing       text NOT NULL DEFAULT 'public' CHECK (sharing IN ('public', 'internal', 'private')),
    note          text NOT NULL DEFAULT '',
    released_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (dataset, release),
    FOREIGN KEY (dataset, restores) REFERENCES changde.releases (dataset, release)
);
COMMENT ON COLUMN changde.releases.restores IS '回退所恢复的版本号；空为由交付发布';
COMMENT ON COLUMN changde.releases.relation IS '带模式名的内容表；空为内容已按保留期限清除';
COMMENT ON COLUMN changde.releases.sharing IS '发布时的共享方式；读者须同时满足数据集与版本两者，旧版不会因数据集放宽而公开';
COMMENT ON COLUMN changde.releases.extent IS '[西, 南, 东, 北]，度，EPSG:4490';

CREATE TABLE changde.findings (
    delivery   bigint NOT NULL REFERENCES changde.deliveries ON DELETE CASCADE,
    n          integer NOT NULL,
    row_number bigint NOT NULL,
    code       text NOT NULL,
    action     text NOT NULL CHECK (action IN ('refused', 'repaired', 'noted')),
    field      text NOT NULL DEFAULT '',
    reason_zh  text NOT NULL,
    reason_en  text NOT NULL,
    place      geometry(Point, 4490),
    PRIMARY KEY (delivery, n)
);
COMMENT ON COLUMN changde.findings.row_number IS '交付文件中的行号，从 1 起';

-- The role the server uses: it reads what is published and writes projects ------

-- +goose StatementBegin
DO $$
BEGIN
    CREATE ROLE changde_api NOLOGIN;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'changde_api is not created: the server will use the rights of its own login';
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'changde_api') THEN
        GRANT USAGE ON SCHEMA changde, content, data TO changde_api;
        GRANT SELECT ON ALL TABLES IN SCHEMA changde TO changde_api;
        ALTER DEFAULT PRIVILEGES IN SCHEMA content GRANT SELECT ON TABLES TO changde_api;
        ALTER DEFAULT PRIVILEGES IN SCHEMA data GRANT SELECT ON TABLES TO changde_api;
        EXECUTE format('GRANT changde_api TO %I', current_user);
    END IF;
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP SCHEMA data CASCADE;
DROP SCHEMA content CASCADE;
DROP SCHEMA changde CASCADE;
