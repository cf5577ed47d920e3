-- +goose Up

-- Projects ----------------------------------------------------------------------

CREATE TABLE changde.projects (
    fid                     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rev                     bigint NOT NULL,
    code                    text COLLATE "C" NOT NULL CONSTRAINT projects_code_key UNIQUE CHECK (code ~ '^[A-Z0-9][A-Z0-9-]{2,40}$'),
    name_zh                 text NOT NULL CHECK (name_zh <> ''),
    name_en                 text NOT NULL DEFAULT '',
    category                text NOT NULL CHECK (category IN
                                ('infrastructure', 'base_database', 'application', 'network', 'security', 'terminal', 'service')),
    construction_unit       text NOT NULL CHECK (construction_unit <> ''),
    organisation            text NOT NULL REFERENCES changde.organisations,
    fund                    text NOT NULL CHECK (fund IN
                                ('egov_special', 'digital_changde_special', 'dept_budget', 'superior_grant', 'bond', 'self_raised', 'other')),
    state                   text NOT NULL CHECK (state IN
                                ('draft', 'declared', 'returned', 'accepted', 'planned', 'approved', 'rejected',
                                 'tech_review', 'tech_revising', 'tech_passed', 'budget_review', 'budget_approved',
                                 'tender_filing', 'tender_returned', 'tender_filed', 'procuring', 'awarded', 'contracted',
                                 'building', 'change_pending', 'trial', 'acceptance', 'rectifying', 'accept_failed',
                                 'accepted_final', 'operating', 'retired', 'cancelled')),
    plan_year               integer CHECK (plan_year BETWEEN 1990 AND 2100),
    declared_amount         numeric(18,2) CHECK (declared_amount >= 0),
    approved_amount         numeric(18,2) CHECK (approved_amount >= 0),
    plan_amount             numeric(18,2) CHECK (plan_amount >= 0),
    planned_on              date,
    accepted_on             date,
    reviewed_on             date,
    tender_filed_on         date,
    construction_started_on date,
    final_accepted_on       date,
    acceptance_result       text CHECK (acceptance_result IN ('pass_first', 'pass_after_rectify', 'fail')),
    supervised              boolean NOT NULL DEFAULT false,
    description             text NOT NULL DEFAULT '',
    geom                    geometry(Point, 4490),
    span                    real NOT NULL GENERATED ALWAYS AS (0) STORED,
    created_at              timestamptz NOT NULL DEFAULT now(),
    created_by              text NOT NULL DEFAULT ''
);
CREATE INDEX projects_geom_idx ON changde.projects USING gist (geom);
CREATE INDEX projects_span_idx ON changde.projects (span DESC, fid);
CREATE INDEX projects_organisation_idx ON changde.projects (organisation);
CREATE INDEX projects_planned_on_idx ON changde.projects (planned_on) WHERE planned_on IS NOT NULL;
CREATE INDEX projects_accepted_on_idx ON changde.projects (accepted_on) WHERE accepted_on IS NOT NULL;
CREATE INDEX projects_reviewed_on_idx ON changde.projects (reviewed_on) WHERE reviewed_on IS NOT NULL;
CREATE INDEX projects_tender_filed_on_idx ON changde.projects (tender_filed_on) WHERE tender_filed_on IS NOT NULL;
CREATE INDEX projects_construction_started_on_idx ON changde.projects (construction_started_on) WHERE construction_started_on IS NOT NULL;
CREATE INDEX projects_final_accepted_on_idx ON changde.projects (final_accepted_on) WHERE final_accepted_on IS NOT NULL;

COMMENT ON TABLE changde.projects IS '电子政务工程项目 / e-government construction projects';
COMMENT ON COLUMN changde.projects.rev IS '最近改动该行的数据集修订号 / the revision of the dataset that last changed the row';
COMMENT ON COLUMN changde.projects.organisation IS '登记单位 / who declared it';
COMMENT ON COLUMN changde.projects.construction_unit IS '建设单位';
COMMENT ON COLUMN changde.projects.declared_amount IS '申报金额，元';
COMMENT ON COLUMN changde.projects.approved_amount IS '审定金额，元';
COMMENT ON COLUMN changde.projects.plan_amount IS '计划资金，元';
COMMENT ON COLUMN changde.projects.planned_on IS '年度计划下达日期';
COMMENT ON COLUMN changde.projects.accepted_on IS '受理日期';
COMMENT ON COLUMN changde.projects.reviewed_on IS '评审完成日期';
COMMENT ON COLUMN changde.projects.tender_filed_on IS '招标文件备案日期';
COMMENT ON COLUMN changde.projects.construction_started_on IS '开工日期';
COMMENT ON COLUMN changde.projects.final_accepted_on IS '竣工验收日期';
COMMENT ON COLUMN changde.projects.acceptance_result IS 'pass_first 一次性合格；pass_after_rectify 整改合格；fail 不合格';
COMMENT ON COLUMN changde.projects.supervised IS '有监理合同 / has a supervision contract';
COMMENT ON COLUMN changde.projects.geom IS '资产合并后的中心点；涉及内部共享的资产时只精确到网格，不含不予共享的资产 / centroid of the assets, to a grid cell where an internal asset is among them, without private ones';
COMMENT ON COLUMN changde.projects.span IS '外包矩形的较长边，度 / the larger side of the bounding box, in degrees';
COMMENT ON COLUMN changde.projects.created_by IS '登记所用钥匙的编号 / the id of the key that declared it';

-- Assets ------------------------------------------------------------------------

CREATE TABLE changde.assets (
    fid         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rev         bigint NOT NULL,
    code        text COLLATE "C" NOT NULL CONSTRAINT assets_code_key UNIQUE CHECK (code ~ '^[A-Z0-9][A-Z0-9-]{2,60}$'),
    type        text NOT NULL CHECK (type IN
                    ('server_room', 'cabinet', 'line', 'duct', 'network_node', 'camera', 'pole', 'sensor', 'base_station',
                     'service_terminal', 'hosting_slot', 'data_layer', 'information_system', 'building', 'land_parcel')),
    name        text NOT NULL CHECK (name <> ''),
    owner_unit  text NOT NULL DEFAULT '',
    status      text NOT NULL CHECK (status IN ('declared', 'approved', 'building', 'in_use', 'idle', 'retired')),
    project_fid bigint REFERENCES changde.projects,
    attributes  jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(attributes) = 'object' AND octet_length(attributes::text) <= 65536),
    geom        geometry(Geometry, 4490) NOT NULL CHECK (
                    NOT ST_IsEmpty(geom) AND ST_IsValid(geom)
                    AND ST_XMin(geom) >= -180 AND ST_XMax(geom) <= 180 AND ST_YMin(geom) >= -90 AND ST_YMax(geom) <= 90),
    span        real NOT NULL GENERATED ALWAYS AS
                    (greatest(ST_XMax(geom) - ST_XMin(geom), ST_YMax(geom) - ST_YMin(geom))) STORED,
    created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX assets_geom_idx ON changde.assets USING gist (geom);
CREATE INDEX assets_span_idx ON changde.assets (span DESC, fid);
CREATE INDEX assets_type_idx ON changde.assets (type);
CREATE INDEX assets_project_fid_idx ON changde.assets (project_fid);

COMMENT ON TABLE changde.assets IS '项目资产 / what projects build, with its place';
COMMENT ON COLUMN changde.assets.status IS 'declared 拟建；approved 已批；building 在建；in_use 在用；idle 闲置；retired 停用';
COMMENT ON COLUMN changde.assets.project_fid IS '建设该资产的项目 / the one project that constructs it';

-- Which project does what with which feature ---------------------------------------

CREATE TABLE changde.project_assets (
    project_fid bigint NOT NULL REFERENCES changde.projects,
    collection  text NOT NULL REFERENCES changde.datasets,
    feature_key text NOT NULL DEFAULT '',
    fid         bigint NOT NULL,
    role        text NOT NULL CHECK (role IN
                    ('constructs', 'upgrades', 'replaces', 'uses', 'hosts', 'contributes_layer', 'consumes_layer')),
    title       text NOT NULL DEFAULT '',
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_fid, collection, feature_key, fid, role)
);
CREATE INDEX project_assets_feature_idx ON changde.project_assets (collection, feature_key, fid);
CREATE UNIQUE INDEX project_assets_origin_idx ON changde.project_assets (collection, feature_key, fid)
    WHERE role = 'constructs' AND collection = 'assets';

COMMENT ON TABLE changde.project_assets IS '项目与空间要素的关系 / what a project does with a feature of any dataset';
COMMENT ON COLUMN changde.project_assets.feature_key IS '数据集业务主键的值；空为以 fid 指认 / the value of the business key, empty where fid names the feature';
COMMENT ON COLUMN changde.project_assets.fid IS '登记时的 fid';
COMMENT ON COLUMN changde.project_assets.title IS '登记时的名称';
COMMENT ON COLUMN changde.project_assets.role IS 'constructs 建设；upgrades 改扩建；replaces 替代；uses 使用；hosts 承载；contributes_layer 提供图层；consumes_layer 调用图层';

-- Both are datasets like any other, edited row by row --------------------------------

INSERT INTO changde.datasets (id, title_zh, title_en, description, sharing, kind, business_key, label, class, release, revision) VALUES
    ('projects', '电子政务工程项目', 'E-government projects', '市电子政务工程建设项目及其申报、评审、备案、验收情况',
     'public', 'edited', 'code', 'name_zh', 'category', 1, 1),
    ('assets', '项目资产', 'Project assets', '项目建设的机房、线路、摄像机等资产及其位置',
     'internal', 'edited', 'code', 'name', 'type', 1, 1);

INSERT INTO changde.releases (dataset, release, revision, relation, geometry_type, rows, columns) VALUES
    ('projects', 1, 1, 'changde.projects', 'Point', 0, '[
        {"name": "code", "alias": "项目编号", "type": "text"},
        {"name": "name_zh", "alias": "项目名称", "type": "text"},
        {"name": "name_en", "alias": "英文名称", "type": "text"},
        {"name": "category", "alias": "类别", "type": "text"},
        {"name": "construction_unit", "alias": "建设单位", "type": "text"},
        {"name": "organisation", "alias": "登记单位", "type": "text"},
        {"name": "fund", "alias": "资金来源", "type": "text"},
        {"name": "state", "alias": "状态", "type": "text"},
        {"name": "plan_year", "alias": "计划年度", "type": "integer"},
        {"name": "declared_amount", "alias": "申报金额（元）", "type": "decimal"},
        {"name": "approved_amount", "alias": "审定金额（元）", "type": "decimal"},
        {"name": "plan_amount", "alias": "计划资金（元）", "type": "decimal"},
        {"name": "planned_on", "alias": "计划下达日期", "type": "date"},
        {"name": "accepted_on", "alias": "受理日期", "type": "date"},
        {"name": "reviewed_on", "alias": "评审完成日期", "type": "date"},
        {"name": "tender_filed_on", "alias": "招标文件备案日期", "type": "date"},
        {"name": "construction_started_on", "alias": "开工日期", "type": "date"},
        {"name": "final_accepted_on", "alias": "竣工验收日期", "type": "date"},
        {"name": "acceptance_result", "alias": "验收结论", "type": "text"},
        {"name": "supervised", "alias": "有监理", "type": "boolean"},
        {"name": "description", "alias": "说明", "type": "text"}]'),
    ('assets', 1, 1, 'changde.assets', 'Geometry', 0, '[
        {"name": "code", "alias": "资产编号", "type": "text"},
        {"name": "type", "alias": "类型", "type": "text"},
        {"name": "name", "alias": "名称", "type": "text"},
        {"name": "owner_unit", "alias": "权属单位", "type": "text"},
        {"name": "status", "alias": "状态", "type": "text"},
        {"name": "project_fid", "alias": "建设项目序号", "type": "integer"},
        {"name": "attributes", "alias": "属性", "type": "text"}]');

CREATE VIEW data.projects AS
SELECT fid, code, name_zh, name_en, category, construction_unit, organisation, fund, state, plan_year,
       declared_amount, approved_amount, plan_amount, planned_on, accepted_on, reviewed_on, tender_filed_on,
       construction_started_on, final_accepted_on, acceptance_result, supervised, description, rev, geom
FROM changde.projects;

CREATE VIEW data.assets AS
SELECT fid, code, type, name, owner_unit, status, project_fid, attributes::text AS attributes, rev, geom
FROM changde.assets;

-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'changde_api') THEN
        GRANT SELECT, INSERT, UPDATE ON changde.projects, changde.assets, changde.project_assets TO changde_api;
        GRANT USAGE ON SEQUENCE changde.projects_fid_seq, changde.assets_fid_seq TO changde_api;
        GRANT UPDATE (revision, updated_at) ON changde.datasets TO changde_api;
        GRANT UPDATE (rows, extent) ON changde.releases TO changde_api;
        GRANT SELECT ON data.projects, data.assets TO changde_api;
    END IF;
END
$$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'changde_api') THEN
        REVOKE UPDATE (revision, updated_at) ON changde.datasets FROM changde_api;
        REVOKE UPDATE (rows, extent) ON changde.releases FROM changde_api;
    END IF;
END
$$;
-- +goose StatementEnd
DROP VIEW data.assets;
DROP VIEW data.projects;
DROP TABLE changde.project_assets;
DROP TABLE changde.assets;
DROP TABLE changde.projects;
DELETE FROM changde.releases WHERE dataset IN ('projects', 'assets');
DELETE FROM changde.datasets WHERE id IN ('projects', 'assets');
