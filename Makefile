# 数字常德 / Digital Changde. "make" alone lists what there is.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# More arguments for the program: make run ARGS="--scale 0.1"
ARGS ?=
# How long each fuzz target runs.
FUZZTIME ?= 20s
# At how many random moments make kill kills; SEED repeats a run.
KILLS ?= 200
SEED ?=
# RACE=0 tests without the race detector, which needs a C compiler.
RACE ?= $(shell command -v gcc >/dev/null 2>&1 && echo 1 || echo 0)

# The version is stamped into the program where git can be asked for it.
VCS := $(shell git rev-parse HEAD >/dev/null 2>&1 && echo auto || echo false)
TOOL := go tool -modfile=tools/go.mod

.PHONY: help
help: ## 列出全部目标 / list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: build ## 安装所缺、构建并启动：http://127.0.0.1:8080 / install what is missing, build, start
	exec bin/changde dev $(ARGS)

.PHONY: setup
setup: ## 安装 PostgreSQL、PostGIS、GDAL（仅缺时） / install PostgreSQL, PostGIS, GDAL when missing
	@scripts/setup run

.PHONY: build
build: setup ## 构建 bin/changde / build bin/changde
	CGO_ENABLED=0 go build -buildvcs=$(VCS) -trimpath -o bin/changde ./cmd/changde

.PHONY: lint
lint: ## 检查格式与代码 / check format and code
	@out=$$($(TOOL) gofumpt -l .); [ -z "$$out" ] || { echo "请执行 gofumpt -w / run gofumpt -w on:"; echo "$$out"; exit 1; }
	go vet ./...
	$(TOOL) staticcheck ./...

.PHONY: test
test: ## 持续集成所做的一切 / everything continuous integration does
	@scripts/setup test
	@$(MAKE) --no-print-directory lint
	CGO_ENABLED=0 go build -buildvcs=$(VCS) ./...
	go test -short -timeout 5m ./...
	@if [ "$(RACE)" = 1 ]; then echo "go test -race ./..."; CGO_ENABLED=1 go test -race -timeout 20m ./...; else echo "go test ./..."; go test -timeout 14m ./...; fi

.PHONY: fuzz
fuzz: ## 逐个运行模糊测试 / run each fuzz target for a while
	@grep -rnoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | while IFS=: read -r file _ decl; do \
		echo "$${decl#func } $$(dirname "$$file")"; \
		go test -run '^$$' -fuzz "^$${decl#func }$$" -fuzztime $(FUZZTIME) "$$(dirname "$$file")" </dev/null; \
	done

.PHONY: kill
kill: ## 在随机时刻 kill -9 各个进程 / kill -9 the processes at random moments
	@scripts/setup test
	CHANGDE_TEST_KILLS=$(KILLS) CHANGDE_TEST_SEED=$(SEED) go test -count 1 -timeout 60m -v -run '^TestKilled' ./cmd/changde

.PHONY: bench
bench: ## 测量并与指标对照 / measure and compare with the bars
	@scripts/setup test
	go run ./cmd/bench $(ARGS)

.PHONY: web
web: ## 重新构建网页（需要 Node 20） / rebuild the portal (needs Node 20)
	cd web && npm ci && npm run build

.PHONY: clean
clean: ## 删除构建结果，不动数据 / remove what was built, not the data
	rm -rf bin
