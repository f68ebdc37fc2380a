# make demo     everything from a fresh machine to a running cluster, and a walk through the chapter
# make test     build, lint, unit tests, generator check, end-to-end tests
# make help     the rest

# One configuration for the demo, the tests and the benchmarks: what is tested is what runs.
CONFIGURATION ?= release
BIN := .build/$(CONFIGURATION)
SWIFTLET := $(abspath $(BIN)/swiftlet)
IMAGES := $(abspath images)
SWIFT_BUILD := swift build --configuration $(CONFIGURATION)

export SWIFTLET IMAGES CONFIGURATION

.PHONY: help demo down build build-tests images setup test lint schema schema-check format bench-start bench-api bench-services bench-rollout bench-dns soak install clean

help:
	@echo "make demo         set up, build, start a cluster, walk the chapter"
	@echo "make down         take the cluster down"
	@echo "make test         build, lint, generator check, unit and end-to-end tests"
	@echo "make build        the swiftlet program, $(BIN)/swiftlet"
	@echo "make images       the sample images, in images/"
	@echo "make install      swiftlet to \$$PREFIX/bin (default /usr/local)"
	@echo "make schema       generate Sources/KubernetesAPI/Generated from Schema"
	@echo "make bench-start  start-up, memory, apply and first-request figures"
	@echo "make bench-api    creates, gets, lists, watches, memory and start of the API server"
	@echo "make bench-services  what a Service costs: a packet, a change, a load; how soon it is right"
	@echo "make bench-rollout  requests lost while pods come and go (REQUESTS=1000000), time that deletions take"
	@echo "make bench-dns    names a second, delay and memory of cluster DNS; how soon a change is seen"
	@echo "make soak         200 watchers and 16 writers for two minutes: every event once and in order"
	@echo "make format       format the Swift sources"

demo: setup build images
	scripts/demo

down:
	$(SWIFTLET) down

setup:
	scripts/setup

build:
	$(SWIFT_BUILD) --product swiftlet
	$(SWIFT_BUILD) --product web

images: build
	scripts/images --web $(BIN)/web

# Builds everything once: programs, generator and tests.
build-tests:
	$(SWIFT_BUILD) --build-tests

SWIFT_FILES := Package.swift Sources Tests Examples Benchmarks
lint:
	swift format lint --strict --parallel --recursive $(SWIFT_FILES)

format:
	swift format format --in-place --parallel --recursive $(SWIFT_FILES)

schema:
	$(SWIFT_BUILD) --product schema-generator
	$(BIN)/schema-generator Schema Sources/KubernetesAPI/Generated

schema-check:
	$(BIN)/schema-generator --check Schema Sources/KubernetesAPI/Generated

# All tests run in a sandbox: network namespaces without an uplink, and nothing of the machine's touched.
test: setup build-tests lint schema-check
	scripts/debian-kubectl
	scripts/python-client
	scripts/test-sandbox
	scripts/images --web $(BIN)/web
	scripts/sandbox swift test --configuration $(CONFIGURATION) --skip-build --skip EndToEndTests
	scripts/sandbox swift test --configuration $(CONFIGURATION) --skip-build --filter EndToEndTests --no-parallel

# The clean build is timed in a folder of its own, which is removed again; CLEAN=no leaves it out.
bench-start: setup build images
	$(SWIFT_BUILD) --product bench-start
	scripts/sandbox --disk $(BIN)/bench-start
	@[ "$(CLEAN)" = no ] || { begin=$$(date +%s); \
	    $(SWIFT_BUILD) --product swiftlet --scratch-path .build-clean >/dev/null && \
	    echo "figure: clean_build $$(($$(date +%s) - begin)) s"; rm -rf .build-clean; }

# State lies on a disk: a durable write costs what it costs.
bench-api: setup build
	$(SWIFT_BUILD) --product bench-api
	scripts/sandbox --disk $(BIN)/bench-api

# ROUNDS of each comparison may be given.
bench-services: setup build
	$(SWIFT_BUILD) --product bench-services
	scripts/sandbox $(BIN)/bench-services

REQUESTS ?= 1000000
bench-rollout: setup build images
	$(SWIFT_BUILD) --product rollout-load
	$(SWIFT_BUILD) --product bench-rollout
	REQUESTS=$(REQUESTS) scripts/sandbox --disk $(BIN)/bench-rollout

# SERVICES and SECONDS (of each load) may be given.
bench-dns: setup build images
	$(SWIFT_BUILD) --product bench-dns
	scripts/sandbox --disk $(BIN)/bench-dns

SOAK_SECONDS ?= 120
soak: setup build
	$(SWIFT_BUILD) --product bench-api
	scripts/sandbox --disk $(BIN)/bench-api soak $(SOAK_SECONDS)

PREFIX ?= /usr/local
install: build
	install -D -m 755 $(SWIFTLET) $(DESTDIR)$(PREFIX)/bin/swiftlet

clean:
	rm -rf .build images
