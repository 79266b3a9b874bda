# `make demo` and `make test` do all of their own set-up: a virtual environment in .venv, packages, and for the tests
# Debian's chromium and PostgreSQL. What is installed already is not installed again.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
CHROMIUM := /usr/bin/chromium
# Of whatever release; the second name stands for one that is still to be installed.
POSTGRESQL := $(firstword $(wildcard /usr/lib/postgresql/*/bin/postgres) /usr/lib/postgresql/bin/postgres)
PROGRAMS := $(CHROMIUM) $(POSTGRESQL)

# Label Studio pins old libraries: it lives in an environment of its own.
STUDIO := .studio
STUDIO_REQUIREMENTS := $(shell sha256sum < constraints-studio.txt | cut -c 1-16)
STUDIO_SILENT := LABEL_STUDIO_BASE_DATA_DIR=$(CURDIR)/$(STUDIO)/template LABEL_STUDIO_COLLECT_ANALYTICS=false \
	LABEL_STUDIO_SENTRY_DSN= LABEL_STUDIO_FRONTEND_SENTRY_DSN= LABEL_STUDIO_LATEST_VERSION_CHECK=false \
	LABEL_STUDIO_DJANGO_DB=sqlite LOG_LEVEL=ERROR

# A stamp holds for one state of the requirements: change them, and the next run installs what is new.
REQUIREMENTS := $(shell cat setup.cfg pyproject.toml constraints.txt | sha256sum | cut -c 1-16)
installed = $(VENV)/.installed-$(1)-$(REQUIREMENTS)

.PHONY: help demo photos check fast test bench compact docs lint studio clean

help:  ## this list
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(call installed,simulate) $(call installed,agents)  ## a dataset from a simulated corpus and a refined image, in demo/
	@[[ -e demo/corpus/corpus.yaml ]] || $(BIN)/editfhf simulate demo/corpus --pairs 120
	@$(BIN)/editfhf build demo/corpus demo/dataset --update
	@[[ -e demo/refined/report.html ]] || $(BIN)/editfhf refine examples/refine/source.png examples/refine/edited.png \
		--instruction "Take the rain streaks away." --out demo/refined
	@echo "Now open demo/dataset/report.html and demo/refined/report.html in a browser." \
		"Commands are in $(BIN)/editfhf --help."

# Types take as long as the fast tests: on two cores both run at one time.
photos:  ## photographs of Debian's wallpaper packages with their licences, in photos/debian, for editfhf simulate
	@python3 tests/benchmarks/debian_photos.py photos/debian

check: $(call installed,test)  ## format, lint, types, direction and fast tests: about 90 s, no system packages
	@$(MAKE) --jobs=2 --output-sync=target lint fast

fast: $(call installed,test)
	@$(BIN)/python -m pytest -n 2 --dist worksteal --hypothesis-profile=quick $$(cat tests/fast.txt)

test: $(call installed,test) $(PROGRAMS) $(STUDIO)/.installed-$(STUDIO_REQUIREMENTS)  ## the whole test suite
	@$(BIN)/python -m pytest -n 2 --dist worksteal

bench: $(call installed,bench) $(STUDIO)/.installed-$(STUDIO_REQUIREMENTS)  ## every benchmark, one JSON line a measure
	@for script in tests/benchmarks/bench_*.py; do echo "# $$script" >&2; $(BIN)/python "$$script"; done

# From photos to the weights of the compact agents. Whole photos are held out: PHOTOS has the folders train, validation
# and test. Three in four pairs are rendered as a generative editor does.
COMPACT := compact
SIMULATE = $(BIN)/editfhf simulate --size 448 --rendered 0.75 --ratings table
COMPACT_PARTS := train-1 train-2 train-3 validation test

compact: $(COMPACT_PARTS:%=$(COMPACT)/%/manifest.json)  ## the compact agents again, from PHOTOS=FOLDER, in compact/
	@$(BIN)/editfhf train compact $(COMPACT)/train-1 --also $(COMPACT)/train-2 --also $(COMPACT)/train-3 \
		--validation $(COMPACT)/validation --out $(COMPACT)/weights --cache $(COMPACT)/cache
	@$(BIN)/python tests/benchmarks/bench_compact.py $(COMPACT)/test --split train --weights $(COMPACT)/weights

$(COMPACT)/%/manifest.json: | $(call installed,training) $(call installed,simulate)
	@if [[ ! -d "$(PHOTOS)/test" ]]; then \
		echo "Give the photos with PHOTOS=FOLDER, which has the folders train, validation and test." >&2; exit 1; \
	fi
	@rm -rf $(COMPACT)/corpus-$*
	@case $* in \
		train-1) $(SIMULATE) $(COMPACT)/corpus-$* --pairs 720 --seed 1 --photos $(PHOTOS)/train ;; \
		train-2) $(SIMULATE) $(COMPACT)/corpus-$* --pairs 480 --seed 2 ;; \
		train-3) $(SIMULATE) $(COMPACT)/corpus-$* --pairs 720 --seed 3 --photos $(PHOTOS)/train ;; \
		validation) $(SIMULATE) $(COMPACT)/corpus-$* --pairs 240 --seed 101 --photos $(PHOTOS)/validation ;; \
		test) $(SIMULATE) $(COMPACT)/corpus-$* --pairs 360 --seed 102 --photos $(PHOTOS)/test ;; \
	esac
	@echo "split: {train: 1, validation: 0, test: 0}" > $(COMPACT)/one-split.yaml
	@$(BIN)/editfhf build $(COMPACT)/corpus-$* $(COMPACT)/$* --config $(COMPACT)/one-split.yaml

docs: $(call installed,docs)  ## the documentation with the generated API page, in site/
	@$(BIN)/mkdocs build --quiet
	@echo "Now open site/index.html in a browser."

lint: $(call installed,test)  ## format, lint, types, and the direction of the house
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

studio: $(call installed,campaign) $(STUDIO)/.installed-$(STUDIO_REQUIREMENTS)  ## all that a campaign needs; Label Studio in .studio/

clean:  ## remove the demo, the virtual environments and every cache
	rm -rf demo site build dist *.egg-info $(VENV) $(STUDIO)
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find mos annotation editfhf training refiner tests -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/.installed-%-$(REQUIREMENTS): | $(VENV)/.created
	@echo "Installing editfhf[$*] into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$*]'
	@rm -f $(VENV)/.installed-$*-*
	@touch $@

# A migrated database beside the server makes the first start of a campaign a matter of seconds.
$(STUDIO)/.installed-$(STUDIO_REQUIREMENTS): | $(STUDIO)/.created
	@echo "Installing Label Studio into $(STUDIO) (about 1 GB) ..."
	@$(STUDIO)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-studio.txt label-studio
	@rm -rf $(STUDIO)/.installed-* $(STUDIO)/template
	@manage=$$($(STUDIO)/bin/python -c 'import label_studio; print(label_studio.__path__[0])')/manage.py; \
	env -i PATH="$$PATH" HOME="$$HOME" $(STUDIO_SILENT) \
		$(STUDIO)/bin/python -W ignore "$$manage" migrate --no-color --verbosity 0 > $(STUDIO)/migrate.log 2>&1 \
		|| { tail -n 20 $(STUDIO)/migrate.log >&2; exit 1; }
	@touch $@

# A virtual environment that works is kept, whoever made it; half of one is made again.
$(VENV)/.created $(STUDIO)/.created:
	@if $(@D)/bin/python -m pip --version > /dev/null 2>&1; then exit 0; fi; \
	python=$$(command -v python3.11 || command -v python3 || true); \
	if [[ -z $$python ]] || ! "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
		echo "EditFHF needs Python 3.11 or later, found $$("$${python:-false}" --version 2>&1 || echo none)." \
			"Install it (Debian: apt-get install python3 python3-venv) and run make again." >&2; exit 1; \
	fi; \
	"$$python" -m venv --clear $(@D)
	@touch $@

$(CHROMIUM):
	@if [[ $$(id -u) -ne 0 ]] || ! command -v apt-get > /dev/null; then \
		echo "The tests of the report page need chromium at $(CHROMIUM)." \
			"Install it (Debian: sudo apt-get install chromium) and run make test again." >&2; exit 1; \
	fi
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium

$(POSTGRESQL):
	@if [[ $$(id -u) -ne 0 ]] || ! command -v apt-get > /dev/null; then \
		echo "The tests of the campaign need PostgreSQL under /usr/lib/postgresql." \
			"Install it (Debian: sudo apt-get install postgresql) and run make test again." >&2; exit 1; \
	fi
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql
