#!/bin/sh
# The main job on data that ships with the project. `make demo` runs this with the program on the PATH.
# Everything is written to demo-out/, which is made anew.
set -eu
show() { printf '\n$ %s\n' "$*"; "$@"; }

rm -rf demo-out
mkdir -p demo-out/configs
cp examples/simulated_sweep.csv demo-out/sweep.csv
cd demo-out

echo "A SIMULATED sweep: made by \`hptransfer simulate\`, no training run stands behind it."
show hptransfer fit sweep.csv -o law.json
show hptransfer plan --law law.json --params 7e9 --tokens 1e12 -o configs/7b.yaml
show hptransfer check configs/

printf '\nNow somebody edits the learning rate by hand:\n'
show sed -i.orig 's/^peak_lr: .*/peak_lr: 3.0e-03/' configs/7b.yaml
rm configs/7b.yaml.orig
status=0
show hptransfer check configs/ || status=$?
printf '\n(exit code %s: CI would stop here)\n' "$status"
[ "$status" = 1 ]

printf '\nAnd with no sweep at all, from a published law:\n'
show hptransfer plan --law step-law --params 7e9 --tokens 1e12
