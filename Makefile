# Everything a developer does. `make help` lists it.

GO          ?= go
STATICCHECK ?= honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME    ?= 30s
COUNT       ?= 1

# Tests that need a server have this build tag: go test ./... does without.
export GOFLAGS := $(strip $(GOFLAGS) -tags=servers)

.DEFAULT_GOAL := help

## run: the login example on http://127.0.0.1:8080, in memory
.PHONY: run
run:
	$(GO) run ./examples/login

# The modules with tests of their own, those that take longest first.
SLOW    := tests . backend/postgres backend/sqlite cmd/sessionctl
MODULES := $(SLOW) $(filter-out $(SLOW),$(wildcard backend/*) examples/login/stores examples/recipes otelsession promsession ginsession echosession devicename benchmarks)

## test: all tests with -race, on private servers that they start themselves (installs what is missing)
.PHONY: test
test: servers
	COUNT=$(COUNT) ./internal/modules.sh test $(MODULES)

## servers: install the servers that the tests start, where they are missing
.PHONY: servers
servers:
	@./internal/testserver/install.sh

## e2e: the login example in headless Chromium, every page with axe, double clicks and cookies in Firefox, too (installs what is missing); screenshots in tests/browser/screenshots
.PHONY: e2e
e2e:
	@./tests/browser/install.sh
	$(GO) -C tests test -count=$(COUNT) -timeout 15m ./browser

## release-check: make a release in a clone, install sessionctl from its tags, and require every module
.PHONY: release-check
release-check:
	$(GO) -C tests test -count=1 -timeout 15m ./release

## lint: gofmt, go vet, staticcheck, go mod tidy and verify, in all modules; govulncheck where its database can be reached
.PHONY: lint
lint:
	@test -z "$$(gofmt -l .)" || { echo "not gofmt-clean:"; gofmt -l .; exit 1; }
	STATICCHECK=$(STATICCHECK) ./internal/modules.sh lint $(MODULES)
	./internal/vulncheck.sh

## fuzz: every fuzz target for FUZZTIME (default 30s)
.PHONY: fuzz
fuzz:
	@for pkg in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$pkg | grep ^Fuzz); do \
			echo "== $$pkg $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
		done; \
	done

## bench: duels with other libraries and the bare drivers, costs, growth, load; writes docs/evidence/performance.md in 15 minutes at most (QUICK=1: 4)
.PHONY: bench
bench: servers
	cd benchmarks && $(GO) run . $(if $(QUICK),-quick)

## bench-check: fail when allocations, round trips or ratios got worse (EXACT=1: only the first two, which no load disturbs)
.PHONY: bench-check
bench-check: servers
	cd benchmarks && $(GO) run . -check $(if $(EXACT),-exact)

## behaviours: run what sessions promise on every backend and write docs/evidence/behaviours.md from what passed
.PHONY: behaviours
behaviours: servers
	{ $(GO) test -race -run '^TestBehaviour$$' -json . ; CLUSTERS=2 $(GO) -C tests test -race -run '^TestBehaviour$$' -json ./behaviour ./clusters ; } \
		| $(GO) -C tests run ./behaviour/table > docs/evidence/behaviours.md

## faults: break everything on purpose, on every backend (10 minutes, as root), and write docs/evidence/faults.md from what ran
.PHONY: faults
faults: servers
	FAULTS=1 FAULTS_TABLE=../../docs/evidence/faults.md $(GO) -C tests test -count=1 -timeout 20m -v ./faults
	SEED=new $(GO) -C tests test -count=1 -run '^TestModel$$' ./model

## failovers: FAILOVERS=20 of PostgreSQL's primary to an asynchronous and to a synchronous standby, under users' hands; prints what each undid
FAILOVERS ?= 20
.PHONY: failovers
failovers: servers
	FAILOVERS=$(FAILOVERS) $(GO) -C backend/postgres test -count=1 -timeout 0 -run '^TestFailover$$' -v .

## figures: what docs/backends has of PostgreSQL's and MariaDB's times and sizes: beside bare pgx, HOT updates, sweeps of 1,000,000, bytes a session (30 minutes)
.PHONY: figures
figures: servers
	FIGURES=1 $(GO) -C backend/postgres test -count=1 -timeout 0 -run '^TestFigures' -v .
	FIGURES=1 $(GO) test -tags servers -count=1 -timeout 0 -run '^TestFigures' -v ./backend/mysql

## clusters: conformance, resharding and CLUSTERS=20 failovers of each kind on a Redis Cluster, Sentinels and Galera (40 minutes, as root), and write docs/evidence/clusters.md
CLUSTERS ?= 20
.PHONY: clusters
clusters: servers
	CLUSTERS=$(CLUSTERS) CLUSTERS_TABLE=../../docs/evidence/clusters.md $(GO) -C tests test -count=1 -timeout 0 -v ./clusters

## mutate: plant every fault of tests/mutate in HEAD; a named test must find each; writes docs/evidence/mutations.md (15 minutes)
.PHONY: mutate
mutate: servers
	$(GO) -C tests run ./mutate -times 3 -record

## soak: SOAK=30m of users on every backend at once, and write docs/evidence/soak.md from what ran
SOAK ?= 30m
.PHONY: soak
soak: servers
	SOAK=$(SOAK) SOAK_TABLE=../../docs/evidence/soak.md $(GO) -C tests test -count=1 -timeout 0 -run '^TestSoak$$' -v ./faults

## help: this list
.PHONY: help
help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)
