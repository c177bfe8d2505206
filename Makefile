.DEFAULT_GOAL := help
.PHONY: help run test dev docs bench soak build

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' Makefile

run: build ## starts callrec with nothing else installed and makes one recorded call
	@node build/src/cli.js demo

test: node_modules ## types, lint, format and every test
	@npm test

dev: build ## starts callrec on the embedded neighbours and builds again when a source changes
	@npx tsc --watch --preserveWatchOutput & node --watch-path=build build/src/cli.js start

docs: build ## writes couchdb/reference.md from the routes and schemas
	@node build/test/helpers/reference.js > couchdb/reference.md

bench: build ## the measurements of bench/README.md, as a table
	@node build/bench/run.js

soak: build ## kills the engine at random over calls at random for SOAK_MINUTES (10)
	@node build/test/crashes/soak.js

build: node_modules ## compiles src, test and bench to build/
	@npx tsc

node_modules: package.json package-lock.json
	@npm install --no-save --no-audit --no-fund --loglevel=error && touch node_modules
