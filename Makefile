# Everything a newcomer needs: `make run`. What the targets do stands behind each `##`; plain `make` prints it.

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install --disable-pip-version-check --only-binary=:all: -c constraints.txt
# The faster model first: it is measured at every point of the sweep.
MODELS := $(addprefix detector/models/,resnext50-lstm-0.2.0 clip-vit-b16-lstm-0.1.0)
TEMPLATES = $(shell find templates analysis accounts deepfakesite -name '*.html')
# The checks keep what they write apart from an installation's own data.
CHECKED := DATA_DIR=var/check
# The tool of `make audit` has an environment of its own: its many dependencies are no business of the site's.
AUDIT := var/audit
PIP_AUDIT := 2.10.1

# PORT, DATA_DIR, BIND and WORKERS reach the site when they are given. An `export` of them here would pass on empty ones
# too, and those would hide what stands in .env.

.DEFAULT_GOAL := help
.PHONY: help run setup setup-dev admin doctor test check format lint types imports migrations deploy templates journeys \
	faults load performance webbench fuzz guesser audit machines screenshots clean

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "Settings for run: PORT=8000  DATA_DIR=/somewhere  BIND=127.0.0.1  WORKERS=1; all others stand in .env.example."

run: setup ## Set up if needed, then start the site (PORT=… DATA_DIR=…); Ctrl-C stops it
	@$(PY) manage.py up

setup: $(VENV)/.installed ## Make the virtual environment and install what the site needs

setup-dev: $(VENV)/.installed-dev

admin: setup ## Make an administrator (give the DATA_DIR the site runs with)
	@$(PY) manage.py createsuperuser

doctor: setup ## Say in words what is wrong with this installation (DATA_DIR as above)
	@$(PY) manage.py doctor

test: setup-dev ## Run every test but the browser journeys
	$(PY) -m pytest --ignore=tests/e2e tests

check: format lint types imports migrations deploy templates test journeys ## Everything a change must pass
	@echo "Every check has passed."

format: setup-dev ## Fail when a file is not formatted (mend: .venv/bin/ruff format)
	$(VENV)/bin/ruff format --check .

lint: setup-dev ## Look for mistakes and bad habits
	$(VENV)/bin/ruff check .

types: setup-dev ## Check the types, strictly
	$(CHECKED) $(VENV)/bin/mypy

imports: setup-dev ## Hold the direction of imports
	$(VENV)/bin/lint-imports

migrations: setup-dev ## Fail when a model has changed without its migration
	$(CHECKED) $(PY) manage.py makemigrations --check --dry-run

deploy: setup-dev ## Django's own checks, as for a site behind HTTPS
	$(CHECKED) HTTPS=1 $(PY) manage.py check --deploy --fail-level WARNING

templates: setup-dev ## Fail when a template is not formatted (mend: .venv/bin/djade --target-version 5.2 FILES)
	$(VENV)/bin/djade --check --target-version 5.2 $(TEMPLATES)

journeys: setup-dev ## The browser journeys, against a site that is really started; needs chromium
	$(PY) -m pytest tests/e2e

faults: setup-dev ## Do 200 rounds of harm to real sites (ROUNDS=…; needs root) and renew the table in docs/reliability.md
	$(PY) -m tests.faults --rounds $(or $(ROUNDS),200) --write docs/reliability.md

load: setup-dev ## Have many people use a real site and renew docs/load.md (PEOPLE=50 ANALYSES=500 MINUTES=10 WORKERS=2)
	$(PY) -m tests.load --people $(or $(PEOPLE),50) --analyses $(or $(ANALYSES),500) --minutes $(or $(MINUTES),10) \
		--workers $(or $(WORKERS),2) --write docs/load.md

performance: setup-dev ## Measure what an analysis costs, with every model, and renew docs/performance.md (half an hour)
	mkdir -p var
	$(PY) -m detector bench --sweep --baseline --model $(MODELS) --json > var/bench.part
	mv var/bench.part var/bench-auto.json
	rm -f var/bench-float32.json var/bench-bfloat16.json
	if grep -q " in int8" var/bench-auto.json; then \
		$(PY) -m detector bench --workers 1 --precision float32 --model $(MODELS) --json > var/bench.part \
			&& mv var/bench.part var/bench-float32.json; \
	fi
	-$(PY) -m detector bench --workers 1 --precision bfloat16 --model $(MODELS) --json > var/bench.part \
		&& mv var/bench.part var/bench-bfloat16.json
	$(PY) -m detector bench --from var/bench-auto.json \
		$$(ls var/bench-float32.json var/bench-bfloat16.json 2>/dev/null) --write docs/performance.md

webbench: setup-dev ## Measure what pages and a large upload cost with 10,000 analyses, and renew docs/performance-web.md
	$(PY) -m tests.webbench --analyses $(or $(ANALYSES),10000) --write docs/performance-web.md

machines: setup-dev ## Two machines that share PostgreSQL, Redis over TLS and an S3 storage, and what befalls them
	$(PY) -m pytest tests/machines

screenshots: setup-dev ## Run the journeys and renew the pictures in docs/screenshots
	SCREENSHOTS=1 $(PY) -m pytest tests/e2e

fuzz: setup-dev ## Throw mutated videos at the upload and the analysis (COUNT=5000 SEED=1)
	$(PY) -m tests.fuzz --count $(or $(COUNT),5000) --seed $(or $(SEED),1)

guesser: setup-dev ## Measure what a guesser can try in an hour and a day, and renew the table in docs/security.md
	$(PY) -W ignore -m tests.security.guesser --write docs/security.md

audit: ## Ask the advisory database about every pinned package; needs the network, and is no part of check
	$(PY) -m venv $(AUDIT)
	$(AUDIT)/bin/python -m pip install --disable-pip-version-check -q pip-audit==$(PIP_AUDIT)
	cat requirements.txt requirements-nodeps.txt requirements-dev.txt constraints.txt | sed 's/#.*//' | \
		grep -E '^[A-Za-z]' | sed 's/\[.*\]//' | sort -u > $(AUDIT)/pinned.txt
	$(AUDIT)/bin/pip-audit --strict --no-deps --disable-pip -r $(AUDIT)/pinned.txt

clean: ## Remove the virtual environment and every cache; data stay
	rm -rf $(VENV) staticfiles .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache var/check
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is older than its requirements file when that has changed: then pip runs again.

$(VENV)/.made:
	@for python in python3.11 python3 python; do \
		if $$python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' >/dev/null 2>&1; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
		echo "Unmask needs Python 3.11, and neither python3.11 nor python3 here is that. Install it and run make again."; exit 1; \
	fi; \
	echo "Making the virtual environment with $$found."; \
	$$found -m venv $(VENV) >/dev/null 2>&1 || { \
		$$found -m venv --clear --without-pip $(VENV) && $$found -m pip --python $(PY) install -q pip; } || { \
		echo "The virtual environment could not be made. Install Python's venv or pip (Debian: python3.11-venv)."; exit 1; }
	@touch $@

$(VENV)/.installed: requirements.txt requirements-nodeps.txt constraints.txt | $(VENV)/.made
	@echo "Installing what the site needs: about 2 GB on disk; this takes a few minutes, once."
	$(PIP) -r requirements.txt
	$(PIP) --no-deps -r requirements-nodeps.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	$(PIP) -r requirements-dev.txt
	@touch $@
