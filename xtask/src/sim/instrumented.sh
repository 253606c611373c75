#!/bin/sh
# The compiler of a measured build: what is the workspace's own counts its lines, what it depends on does not.
exec "$@" -C instrument-coverage
