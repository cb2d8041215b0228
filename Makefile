# Each target says after ## what it is for; "make" alone lists them.

TOOL      := go tool -modfile=$(CURDIR)/tools/go.mod
BENCH     ?= .
COUNT     ?= 1
FUZZTIME  ?= 10
ONLY      ?= .
ROUNDS    ?= 7
PACKAGE   ?= ./...

.DEFAULT_GOAL := help
.PHONY: help test race integration lint fix fuzz batches example-container schedules soak-runner pipeline soak steady mutants bench bench-peer bench-compare capacity microbench compare cover vuln licences crash nightly apidiff ci

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

test: ## run the tests
	go test $(PACKAGE)

race: ## run the tests with the race detector
	go test -race $(PACKAGE)

integration: ## run the tests that need servers, on emulators; ENDPOINT=url or AWS=1 for others
	.ci/integration $(if $(AWS),aws,$(ENDPOINT))

lint: ## run the linters (the first time takes a minute or two: it builds them)
	$(TOOL) golangci-lint run
	.ci/lint-rule-test

fix: ## format the code and let the linters mend what they can
	gofmt -w .
	$(TOOL) golangci-lint run --fix

fuzz: ## fuzz every target; FUZZTIME=10 seconds each
	.ci/fuzz $(FUZZTIME)

batches: ## try a million random batches against the rules of Lambda
	MES_BATCHES=$(or $(BATCHES),1000000) go test -count=1 -timeout 60m -run 'Random' -v ./lambdahandler ./internal/lambdaways

example-container: ## run examples/container on emulators, without Docker
	STREAM=events TABLE=orders LEASES=leases ADDR=127.0.0.1:0 .ci/servers/with dynoxide kinesis-local -- sh -c \
		'AWS_ENDPOINT_URL_KINESIS=$$MES_KINESIS_ENDPOINT AWS_ENDPOINT_URL_DYNAMODB=$$MES_DYNAMODB_ENDPOINT \
		AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test go run ./examples/container -demo'

schedules: ## run replicas through SCHEDULES=5000 random schedules of what goes wrong
	MES_RUNNER_SEEDS=$(or $(SCHEDULES),5000) go test -count=1 -timeout 120m -run TestPromise01NoSchedule -v ./runner

soak-runner: ## run replicas for DURATION=10m, and see that memory stays flat
	MES_RUNNER_SOAK=$(or $(DURATION),10m) go test -count=1 -timeout 0 -run '^TestSoak$$' -v ./runner

pipeline: ## 20,000 events through replicas that are killed, on emulators; EVENTS=n for another number
	MES_PIPELINE_EVENTS=$(or $(EVENTS),20000) .ci/servers/with dynoxide kinesis-local -- \
		go test -count=1 -timeout 60m -run TestIntegrationReplicas -v ./runner

soak: ## simulate EVENTS=1000000 source events under faults; SEED=n for a run again
	.ci/soak $(EVENTS) $(SEED)

steady: ## work for TIME=30m, and see that nothing grows
	MES_STEADY=$(or $(TIME),30m) go test -count=1 -timeout 24h -run TestPromise21NothingGrows -v ./internal/steady

mutants: ## spoil the library in one place after another, and see a test fail each time
	go run ./.ci/mutants $(MUTANTS)

bench: ## compare with the plain way of doing the same; ONLY=regexp for some paths, ROUNDS=7
	go build -o .bin/bench ./bench
	.bin/bench -only '$(ONLY)' -rounds $(ROUNDS) -results bench/results -revision "$$(git describe --always --dirty)"

bench-peer: ## compare with aws-lambda-stream, from npm (needs node); ONLY=regexp, ROUNDS=7
	cd bench/peer && npm install --no-audit --no-fund --no-package-lock --silent
	go build -o .bin/bench ./bench
	.bin/bench -peer -only '$(ONLY)' -rounds $(ROUNDS) -results bench/results -revision "$$(git describe --always --dirty)"

bench-compare: ## compare our side of "make bench" with a revision's; BASE=revision
	@test -n '$(BASE)' || { echo 'say with what: make bench-compare BASE=v0.1.0'; exit 1; }
	@old=$$(mktemp -d) && trap 'git worktree remove --force "$$old/tree"; rm -rf "$$old"' EXIT && \
	git worktree add --quiet --detach "$$old/tree" '$(BASE)' && \
	(cd "$$old/tree" && go build -o "$$old/base" ./bench) && go build -o "$$old/here" ./bench && \
	for i in 1 2 3 4 5 6; do \
		"$$old/base" -gobench -rounds 1 -only '$(ONLY)' >>"$$old/base.out" && \
		"$$old/here" -gobench -rounds 1 -only '$(ONLY)' >>"$$old/here.out" || exit 1; \
	done && $(TOOL) benchstat "$$old/base.out" "$$old/here.out"

capacity: ## print what saving and reading consumes in DynamoDB, for docs/cost.md
	go run ./bench -capacity

microbench: ## run the benchmarks of the packages; BENCH=regexp, COUNT=1, PACKAGE=./...
	go test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) $(PACKAGE)

compare: ## compare two saved outputs of "make microbench COUNT=10"; OLD=file NEW=file
	$(TOOL) benchstat $(OLD) $(NEW)

cover: ## measure what the tests cover
	go test -coverpkg=./... -coverprofile=coverage.out $(PACKAGE)
	go tool cover -func=coverage.out | tail -n 1
	@echo 'line by line: go tool cover -html=coverage.out'

vuln: ## look for known vulnerabilities in the copy of the database here; VULNDB=directory or online
	.ci/vuln $(VULNDB)

licences: ## list the licence of every dependency, and refuse those that do not fit
	.ci/licences

crash: ## cut the power IMAGES=2000 times and kill KILLS=20 processes under boltstore
	MES_CRASH_IMAGES=$(or $(IMAGES),2000) MES_CRASH_KILLS=$(or $(KILLS),20) go test -count=1 -timeout 2h -run 'TestPromise17' -v ./boltstore

nightly: ## all of the above that takes long: hours
	.ci/nightly

apidiff: ## list what has changed for users since a commit; BASE=commit
	@test -n '$(BASE)' || { echo 'say since when: make apidiff BASE=v0.1.0'; exit 1; }
	@old=$$(mktemp -d) && trap 'git worktree remove --force "$$old/tree"; rm -rf "$$old"' EXIT && \
	git worktree add --quiet --detach "$$old/tree" '$(BASE)' && \
	(cd "$$old/tree" && $(TOOL) apidiff -m -w "$$old/api" github.com/microeventstore/microeventstore) && \
	$(TOOL) apidiff -m "$$old/api" github.com/microeventstore/microeventstore

ci: ## run the whole gate, as it is run before a change lands
	.ci/run
