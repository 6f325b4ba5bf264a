#!/usr/bin/env bash
# Runs our systems and the peers in turns, and adds what they print to a file:
#
#   bench/run.sh ROUNDS OUT.jsonl [FILTER] [flags of ./bench...]
#
# FILTER is a regular expression on 'name shape dtype pass'. The peers are those
# that are installed: PyTorch (Debian's python3-torch) in all set-ups of
# peers/torch_norm.py, oneDNN (g++, libdnnl-dev). More systems, on demand:
#
#   PATHS="avx2 generic"   our kernels on lower instruction sets: norm-raw-avx2,
#                          norm-raw-generic
#   -system norm,gorgonia  after FILTER: in a graph, ours and what Gorgonia has without us
#   BLAS=openblas          linear layers and models with OpenBLAS (libopenblas-dev):
#                          norm-raw-openblas, norm-openblas, norm-reuse-openblas
#
# Some time-saving flags, and which set-ups of PyTorch to run:
#
#   -system norm-raw  -dtype float32  -threads 1  -min-time 0.1  -retry 0
#   TORCH="default tuned"
#
# For a claim take three rounds or more on a machine with nothing else to do.
# Read the result with: go run ./bench -table OUT.jsonl
set -euo pipefail
if [ $# -lt 2 ]; then
	sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"
	exit 2
fi
rounds=$1 out=$(realpath -m "$2") filter=${3:-}
shift $(($# < 3 ? $# : 3))
case $filter in
-*)
	echo "bench/run.sh: $filter in the place of FILTER, which comes before flags: give one, '.' for all cases" >&2
	exit 2
	;;
esac

cd "$(dirname "$0")/.."
mkdir -p "$(dirname "$out")"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
go build -o "$tmp/bench" ./bench
args=()

case_flags="-allow-none -threads {threads} -dtype {dtype} -min-time {min_time} -filter {group} -filter {filter}"

for path in ${PATHS:-}; do
	NORM_ISA=$path "$tmp/bench" -list >/dev/null # fails if there is no such path here
	args+=(-peer "norm-raw-$path=env NORM_ISA=$path $tmp/bench -system norm-raw -filter ^(layernorm|batchnorm|weight_norm) $case_flags")
done

if [ "${BLAS:-}" = openblas ]; then
	go build -tags openblas -o "$tmp/bench-openblas" ./bench
	# An OpenBLAS that does not know the processor makes no use of its AVX-512.
	coretype=
	if grep -qs avx512bw /proc/cpuinfo; then coretype=OPENBLAS_CORETYPE=SkylakeX; fi
	for system in norm-raw norm norm-reuse; do
		args+=(-peer "$system-openblas=env $coretype $tmp/bench-openblas -system $system -filter linear|mlp $case_flags")
	done
fi

# Debian's packages are for its own Python, which need not be the first in PATH.
torch=
for python in /usr/bin/python3 python3; do
	if "$python" -c 'import torch' 2>/dev/null; then
		torch=yes
		for config in ${TORCH:-default warm tuned tuned-omp}; do
			if [ $config = tuned-omp ] && [ ! -d "/usr/lib/$(uname -m)-linux-gnu/openblas-openmp" ]; then continue; fi
			args+=(-peer "torch-$config=$python bench/peers/torch_norm.py --config $config --threads {threads} --dtype {dtype} --min-time {min_time} --filter={group} --filter={filter}")
		done
		break
	fi
done
if [ -z "$torch" ]; then echo "no PyTorch here" >&2; fi

if g++ -O2 -march=native -fopenmp -o "$tmp/dnnl_norm" "bench/peers/dnnl_norm.cpp" -ldnnl 2>"$tmp/log"; then
	args+=(-peer "onednn=$tmp/dnnl_norm -t {min_time} -f {group} -f {dtype} -f {filter}")
else
	echo "no oneDNN here (or no g++)" >&2
fi

"$tmp/bench" -rounds "$rounds" -out "$out" ${filter:+-filter "$filter"} "${args[@]}" "$@"
