// Command changde is the whole platform: it loads deliveries, serves the map and
// the API, and keeps a private PostGIS where there is no other.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"changde/ingest/gdal"
	"changde/postgis"
	"changde/problem"
)

// commands is the command line. Each field is a file of this folder.
type commands struct {
	settings

	Dev            devCommand            `cmd:"" help:"私有 PostGIS + 示例城市 + 服务，一条命令 / private PostGIS, sample city and server in one."`
	Serve          serveCommand          `cmd:"" help:"对外服务（需 DATABASE_URL）/ serve (needs DATABASE_URL)."`
	Migrate        migrateCommand        `cmd:"" help:"建立或升级数据库结构 / create or upgrade the database schema."`
	Worker         workerCommand         `cmd:"" help:"处理交付与审批的工作进程 / work on deliveries and decisions."`
	Dropbox        dropboxCommand        `cmd:"" help:"看守投递箱（文件夹或 S3），自动接收交付 / watch a drop box (folder or S3) and receive deliveries."`
	Ingest         ingestCommand         `cmd:"" help:"交付入库并发布 / load a delivery and release it."`
	Delivery       deliveryCommand       `cmd:"" help:"交付：列出、报告、审批、撤回 / deliveries: list, report, decide."`
	Profile        profileCommand        `cmd:"" help:"图层标准：列出、检查 / layer standards: list, check."`
	Dataset        datasetCommand        `cmd:"" help:"数据集：列出、修改 / datasets: list, change."`
	Release        releaseCommand        `cmd:"" help:"版本：列出、回退 / releases: list, roll back."`
	Tiles          tilesCommand          `cmd:"" help:"瓦片：导出离线包 / tiles: export packs for use offline."`
	Sample         sampleCommand         `cmd:"" help:"生成示例城市的交付文件 / write the sample city's deliveries."`
	Transformation transformationCommand `cmd:"" help:"坐标转换：添加、列出、删除 / transformations of legacy datums: add, list, remove."`
	Webhook        webhookCommand        `cmd:"" help:"版本发布的回调：登记、列出、删除 / callbacks for releases."`
	Org            orgCommand            `cmd:"" help:"单位：登记、列出 / organisations: add, list."`
	Key            keyCommand            `cmd:"" help:"单位密钥：签发、列出、吊销 / keys: create, list, revoke."`
	Doctor         doctorCommand         `cmd:"" help:"检查运行环境 / check what this machine has."`
}

// Exit codes beyond 0 and 1.
const (
	exitUsage    = 2 // the command line or the input is wrong
	exitUnagreed = 3 // the plan was shown and not accepted
)

func main() {
	gdal.RunChild() // a conversion starts this program again, locked in
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		<-ctx.Done()
		stop() // a second signal ends the process at once
	}()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// streams are where a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// run carries out one command line and returns its exit code. It is the whole
// program but for signals, so that tests can call it.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	var c commands
	exit := -1
	parser, err := kong.New(&c,
		kong.Name("changde"),
		kong.Description("数字常德空间数据平台 / the Digital Changde spatial data platform"),
		kong.Writers(out, errOut),
		kong.Exit(func(code int) { exit = code }),
		kong.UsageOnError(),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(&streams{in: in, out: out, err: errOut}),
	)
	if err != nil {
		fmt.Fprintln(errOut, err)
		return 1
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, err := parser.Parse(args)
	if exit >= 0 { // --help has answered
		return exit
	}
	if err != nil {
		fmt.Fprintf(errOut, "命令行有误 / command line: %v\n用 changde --help 查看用法 / see changde --help\n", err)
		return exitUsage
	}
	// A database that is away is the same problem whoever meets it.
	err = postgis.Fault(ctx, command.Run(&c.settings), command.Command())
	var p *problem.Error
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUnagreed):
		return exitUnagreed
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		fmt.Fprintln(errOut, "已中断 / interrupted")
		return 130
	case errors.As(err, &p):
		where := ""
		if p.Where != "" {
			where = p.Where + "："
		}
		fmt.Fprintf(errOut, "错误 %s%s\nerror %s [%s]\n", where, p.ZH, p.EN, p.Code)
		if p.Kind == problem.Busy && p.Err != nil {
			fmt.Fprintf(errOut, "原因 / cause: %v\n", p.Err)
		}
		return exitUsage
	}
	fmt.Fprintf(errOut, "错误 / error: %v\n", err)
	return 1
}
