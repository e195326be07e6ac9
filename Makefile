# Two commands. Each makes .venv with the pinned packages where it is missing.
#
#     make demo    a low-dose series becomes a CBV map beside its reference, in demo/
#     make test    lint, types and all tests
#
# For developers besides: `make coverage` reports what no test runs, and `make fuzz` reads 20,000 damaged files of every
# kind, in about ten minutes. Where there is no make, as on Windows: python Utilities/make.py demo|test|coverage|fuzz

PYTHON ?=
export PYTHON

.PHONY: demo test coverage fuzz install

demo: install
	.venv/bin/stunet-perfusion demo --output demo

test: install
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/python -m pytest --durations=10

coverage: install
	.venv/bin/python -m pip install --quiet pytest-cov==7.1.0
	.venv/bin/python -m pytest --cov=stunet_perfusion --cov-report=term-missing:skip-covered

fuzz: install
	.venv/bin/python -m pytest Testing/science/test_any_bytes.py --durations=5 --fuzz=1800

install:
	@Utilities/install.sh
