# Each target is one line that calls compose/scripts or swift. `make up` and `make test` work on a fresh machine.
.PHONY: up up-processes test build setup bench bench-bus mutants faults compose-test proto format lint clean

up:            ## everything on embedded SQLite with the example application, in one process
	@compose/scripts/up.sh

up-processes:  ## the same as five processes
	@compose/scripts/up.sh --processes

test:          ## system packages, the servers that tests need, every test
	@compose/scripts/test.sh

setup:         ## system packages only
	@compose/scripts/setup.sh

build:         ## release build of all executables
	@compose/scripts/setup.sh && swift build -c release

mutants:       ## plants bugs and sees tests catch them
	@compose/scripts/mutants.sh

faults:        ## three minutes of load and forty kills on five processes
	@swift build && Tests/Faults/run --minutes 3 --kills 40

bench:         ## figures of the whole stack, release executables; some twenty minutes (docs/benchmarks.md)
	@for name in reads feed sockets orders jobs memory; do Tests/Benchmarks/run $$name || exit 1; done

bench-bus:     ## the bus against the same exchange in C
	@Tests/Benchmarks/run bus

compose-test:  ## the compose stack in a private Docker engine, on both engines; needs root
	@Tests/Compose/run

proto:         ## generate Shared/Wire/Generated from Shared/Wire/Protos
	@compose/scripts/proto.sh

format:
	@swift format --in-place --recursive Package.swift Services Shared Tests

lint:
	@swift format lint --strict --recursive Package.swift Services Shared Tests

clean:
	@rm -rf .build .build-*
