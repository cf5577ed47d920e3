-- +goose Up

-- The server's role receives deliveries and hands them on; what becomes of them is
-- the workers' to write, with the rights of the owner.

-- +goose StatementBegin
CREATE FUNCTION changde.guard_deliveries() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    step text := CASE WHEN TG_OP = 'INSERT' THEN '' ELSE OLD.state || '>' END || NEW.state;
BEGIN
    IF pg_has_role((SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'USAGE') THEN
        RETURN NEW;
    END IF;
    IF step NOT IN ('receiving', 'received', 'receiving>receiving', 'receiving>received', 'inspected>split')
        OR step = 'received' AND NEW.parent IS NULL
        OR TG_OP = 'INSERT' AND NEW.relation <> '' THEN
        RAISE EXCEPTION 'the server may not make the delivery go %', step USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION changde.guard_deliveries IS '对外服务的角色只能：新建接收中的交付、提交、按图层分为多个交付；其余状态由工作进程写入';
CREATE TRIGGER guard_deliveries BEFORE INSERT OR UPDATE ON changde.deliveries
    FOR EACH ROW EXECUTE FUNCTION changde.guard_deliveries();

-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'changde_api') THEN
        REVOKE UPDATE (request, cancelled) ON changde.deliveries FROM changde_api;
        REVOKE INSERT ON changde.decisions FROM changde_api;
        GRANT INSERT (delivery, action, actor, organisation, document, note, difference) ON changde.decisions TO changde_api;
    END IF;
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER guard_deliveries ON changde.deliveries;
DROP FUNCTION changde.guard_deliveries();
-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'changde_api') THEN
        GRANT UPDATE (request, cancelled) ON changde.deliveries TO changde_api;
        GRANT INSERT ON changde.decisions TO changde_api;
    END IF;
END
$$;
-- +goose StatementEnd
