#!/bin/sh
# The main job on data that ships with the project. `make demo` runs this with the program on the PATH.
# Everything is written to demo-out/, which is made anew.
set -eu
show() { printf '\n$ %s\n' "$*"; "$@"; }

rm -rf demo-out
mkdir -p demo-out/configs
cp examples/proxies/sweep.csv demo-out/sweep.csv
cd demo-out

echo "A real sweep: 585 small language models, trained on two CPU cores (examples/proxies/README.md)."
show hptransfer fit sweep.csv -o law.json
show hptransfer plan --law law.json --params 294912 --tokens 3145728 -o configs/target.yaml
show hptransfer check configs/

printf '\nNow somebody edits the learning rate by hand:\n'
show sed -i.orig 's/^peak_lr: .*/peak_lr: 8.0e-03/' configs/target.yaml
rm configs/target.yaml.orig
status=0
show hptransfer check configs/ || status=$?
printf '\n(exit code %s: CI would stop here)\n' "$status"
[ "$status" = 1 ]

printf '\nAnd with no sweep at all, from a published law:\n'
show hptransfer plan --law step-law --params 7e9 --tokens 1e12
