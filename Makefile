# `make run` and `make test` need Python 3.11 or newer, pip and make; everything else they install
# into .venv. `make help` lists what there is.

PYTHON ?= python3
PORT ?=
CONFIG ?= serve_config.yaml
TORCH_INDEX ?=

VENV_PYTHON := .venv/bin/python
# pip of the outer Python fills .venv, which needs no pip of its own for that (nor ensurepip).
INSTALL := $(PYTHON) scripts/install.py --python $(VENV_PYTHON)
# pip takes a build such as 2.13.0+cpu for newer than 2.13.0, so it also replaces one that is there.
TORCH := $(if $(TORCH_INDEX),--extra-index-url "$(TORCH_INDEX)" --upgrade torch)
PINS := -c constraints.txt $(TORCH)

.DEFAULT_GOAL := help
.PHONY: help run test test-on-ray test-the-rest test-quick check train-demo npm-package clean

help: ## list what there is
	@echo "make TARGET [VARIABLE=VALUE]"
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1  \2/p' $(MAKEFILE_LIST) | \
		awk '{name = $$1; $$1 = ""; printf "  %-12s%s\n", name, $$0}'
	@echo
	@echo "  PORT         where the service listens (the configuration says 8000)"
	@echo "  CONFIG       the configuration it starts with (serve_config.yaml)"
	@echo "  TORCH_INDEX  the index of torch's CPU wheels, which pytorch.org's install page names, for a"
	@echo "               laptop without a GPU: a download of about 0.6 GB in place of 3.1 GB"
	@echo "  PYTHON       the Python to make .venv with (python3)"
	@echo "  PYTEST_ARGS  what pytest is given by make test"

run: .venv/run-installed ## install, start the service, make four images, and stay up
	@exec $(VENV_PYTHON) -m deployments.launch --config "$(CONFIG)" \
		$(if $(PORT),--port "$(PORT)")

test: test-on-ray test-the-rest ## install the test tools too, and run every test

# The suites on Ray have the machine to themselves: beside others their deadlines pass. pytest's 5
# says that PYTEST_ARGS chose no test of one half.
test-on-ray: .venv/test-installed
	$(VENV_PYTHON) -m pytest -n 1 -m ray $(PYTEST_ARGS) || [ $$? = 5 ]

test-the-rest: .venv/test-installed
	$(VENV_PYTHON) -m pytest -n 2 -m "not ray" $(PYTEST_ARGS) || [ $$? = 5 ]

test-quick: .venv/test-installed ## the tests that take no seconds, no Ray, no browser and no S3
	$(VENV_PYTHON) -m pytest -n 2 -m "not ray and not s3 and not slow" \
		tests/unit tests/contract tests/k8s $(PYTEST_ARGS)

check: .venv/test-installed ## lint, types and layers
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m ruff format --check .
	$(VENV_PYTHON) -m mypy
	.venv/bin/lint-imports
	$(VENV_PYTHON) scripts/check_page.py

npm-package: ## make the JavaScript client's npm package in dist/npm; needs npm
	@$(PYTHON) scripts/npm_package.py

# Hours on two cores; goes on where it stopped. Needs npm for panoramas and LLVM to render with.
train-demo: .venv/train-installed .train/package ## train the demo weights on, for hours
	$(VENV_PYTHON) -m training all --assets .train/package --out .train/work

.train/package:
	mkdir -p .train
	cd .train && npm pack @pmndrs/assets@1.7.0 && tar xzf pmndrs-assets-1.7.0.tgz

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else \
		"Backdrop needs Python 3.11 or newer, and $(PYTHON) is %d.%d: set PYTHON to a newer one." \
		% sys.version_info[:2])'
	@$(PYTHON) -m venv --without-pip .venv

# Another index than at the last installation means another build of torch.
ifneq ($(TORCH_INDEX),)
ifneq ($(TORCH_INDEX),$(shell cat .venv/torch-index 2>/dev/null))
.venv/run-installed .venv/test-installed: new-torch
endif
endif
.PHONY: new-torch
new-torch:

.venv/run-installed: pyproject.toml constraints.txt | .venv/bin/python
	@$(INSTALL) --log .venv/install.log \
		--what 'the service, $(if $(TORCH_INDEX),about 0.6,up to 3.1) GB the first time' -- $(PINS) -e .
	@$(if $(TORCH_INDEX),echo "$(TORCH_INDEX)" > .venv/torch-index)
	@touch $@

.venv/test-installed: pyproject.toml constraints.txt | .venv/bin/python
	@$(INSTALL) --log .venv/install-test.log --what 'the service and the test tools' -- \
		$(PINS) -e '.[test]'
	@$(if $(TORCH_INDEX),echo "$(TORCH_INDEX)" > .venv/torch-index)
	@touch .venv/run-installed $@

.venv/train-installed: training/requirements.txt .venv/run-installed
	@$(INSTALL) --log .venv/install-train.log --what 'the training tools' -- \
		$(PINS) -r training/requirements.txt
	@touch $@

clean: ## remove what was installed, stored and trained here
	rm -rf .venv data .train backdrop-*.log*
