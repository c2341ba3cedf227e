#!/usr/bin/env bash
# Writes texts of other kinds than those that the planner's table was fitted on, from Debian 12's packages (whose security
# updates change some of them a little), the files in an order that does not follow their names.
#   bench/texts.sh python|kernel-docs|german|japanese|dictionary > TEXT
set -euo pipefail
skip='*/doc/*changelog*'
case ${1:-} in
  python) package=libpython3.11-stdlib files='*.py' ;;
  kernel-docs) package=linux-doc-6.1 files='*.rst.gz' skip='*/translations/*' ;;
  german) package=manpages-de files='*.gz' ;;
  japanese) package=manpages-ja files='*.gz' ;;
  dictionary) package=dict-gcide files='*.dict.dz' ;;
  *) sed -n 's/^#   //p' "$0" >&2; exit 2 ;;
esac
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -qq "$package" >&2
dpkg -x ./*.deb .
find usr -type f -path "$files" ! -path "$skip" | while read -r file; do
  echo "$(printf %s "$file" | sha1sum | cut -c1-40) $file"
done | sort | cut -d' ' -f2 | while read -r file; do
  case $file in *.gz | *.dz) zcat "$file" ;; *) cat "$file" ;; esac
done
