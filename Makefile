# The commands of the project. CI (.ci/run) runs ci.

# Without U1000, which reports methods of generic types as unused if they are called
# through a generic interface.
STATICCHECK = go run honnef.co/go/tools/cmd/staticcheck@v0.6.1 -checks inherit,-U1000
MODULES     = . ./bench ./examples
GENERATOR   = ops/internal/kernel/_asm# a module outside the workspace
ROUNDS      = 3
FIGURES     = out/bench.jsonl

.PHONY: test race lint vet fmt staticcheck paths portable emulated example generate bench peers page ci

test: ## what the README says
	go test ./...

race: ## the root module under the race detector; of the kernels only tests of shared work, as the rest takes minutes
	go test -race -short $$(go list ./... | grep -v internal/kernel)
	go test -race -short -run 'Split|Panic|Worker|Caller|Tasks|Scratch|Concurrent' ./ops/internal/kernel

lint: fmt vet staticcheck

fmt: ## fails where gofmt would change a file
	@test -z "$$(gofmt -l .)" || { gofmt -l .; exit 1; }

vet:
	@for m in $(MODULES); do (cd $$m && go vet ./...) || exit 1; done
	cd $(GENERATOR) && GOWORK=off go vet ./...

staticcheck:
	@for m in $(MODULES); do (cd $$m && $(STATICCHECK) ./...) || exit 1; done
	cd $(GENERATOR) && GOWORK=off $(STATICCHECK) ./...

paths: ## the paths that `test` does not take; the kernels once for purego and generic, which are the same code
	@if [ -r /proc/cpuinfo ] && ! grep -q avx512vl /proc/cpuinfo; then echo "no AVX-512 here: test has taken the best path"; \
	else set -x; NORM_ISA=avx2 go test -count=1 ./ops/internal/kernel/; fi
	NORM_ISA=generic go test -count=1 -short ./ops
	go test -count=1 -tags purego ./ops/internal/kernel/

portable: ## the root module with the dependencies of its own go.mod, all modules for other processors, and tests on 32 bits
	GOWORK=off go test -short $$(go list ./... | grep -v internal/kernel)
	@for arch in arm64 386; do for m in $(MODULES); do \
		echo "GOARCH=$$arch go vet $$m"; (cd $$m && CGO_ENABLED=0 GOARCH=$$arch go vet ./...) || exit 1; done; done
	@if [ "$$(go env GOHOSTOS GOHOSTARCH | paste -sd/)" = linux/amd64 ]; then set -x; \
	CGO_ENABLED=0 GOARCH=386 GOWORK=off go test -short . ./diff ./internal/...; fi

# The tests that run under emulation. It leaves a tenth of the speed, so each family is
# tested once. Runs under qemu have hung on a loaded machine, so they have a time limit.
EMULATED_KERNEL = DoubleDouble|Merge|Scratch|Split|Panic|AddNorm|PowerIteration|ConstantRow|ConstantChannel|ConstantGroup|Isolation|Extremes|BelowEps|Second
EMULATED_OPS    = MatchesGolden|Fault|Statistics|Moments|BadInput|RefusesUnfit

emulated: ## kernels and ops on arm64, where Debian's qemu-user is installed
	@command -v qemu-aarch64 >/dev/null || { echo "skipped: there is no qemu-aarch64 (apt-get install qemu-user)"; exit 0; }; \
	set -e; dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; \
	export CGO_ENABLED=0 GOARCH=arm64 GOWORK=off; \
	go test -c -o $$dir/kernel ./ops/internal/kernel; go test -c -o $$dir/ops ./ops; \
	(cd ops/internal/kernel && timeout 300 qemu-aarch64 $$dir/kernel -test.short -test.run '$(EMULATED_KERNEL)'); \
	(cd ops && timeout 300 qemu-aarch64 $$dir/ops -test.short -test.run '$(EMULATED_OPS)')

example: ## trains an MLP on MNIST and writes learning curves to out/
	go run ./examples/mlp

generate: ## the assembly and the functions that choose it
	go generate ./...

bench: ## each kernel by itself; go run ./bench times whole ops and steps
	go test -run '^$$' -bench . -benchmem ./ops/internal/kernel/

peers: ## PyTorch and oneDNN, where they are installed, in turns with ours; then tables
	bench/run.sh $(ROUNDS) $(FIGURES)
	go run ./bench -table $(FIGURES)

page: ## what peers has measured, into docs/performance.md
	go run ./bench -plot docs/roofline.png -page docs/performance.md $(FIGURES)

ci:
	.ci/run
