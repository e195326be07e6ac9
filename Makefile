# Two commands. Each makes .venv with the pinned packages where it is missing.
#
#     make demo    a low-dose series becomes a CBV map beside its reference, in demo/
#     make test    lint, types and all tests

PYTHON ?=
export PYTHON

.PHONY: demo test install

demo: install
	.venv/bin/stunet-perfusion demo --output demo

test: install
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/python -m pytest --durations=10

install:
	@Utilities/install.sh
