# Both goals create their own .venv: nothing has to be installed by hand but Python and make.
PYTHON ?= python3
BIN = .venv/bin

# Where there is no home folder, pip and scikit-image are to look for theirs here.
ifeq ($(HOME),)
export HOME := $(CURDIR)/.venv
endif

.PHONY: demo test test-browser test-fleet test-sdks lint clean

demo: .venv/demo
	@mkdir -p out
	@$(BIN)/python -c "from skimage import data, io; io.imsave('out/astronaut.png', data.astronaut())"
	@$(BIN)/faceshape analyze out/astronaut.png --mode largest --draw out/overlay.png > out/response.json \
		|| { cat out/response.json; exit 1; }
	@cat out/response.json
	@echo "The response is out/response.json, the picture out/overlay.png" >&2

test: .venv/test
	$(BIN)/python -m pytest -n auto --cov --cov-report=term:skip-covered

# The vendor's SDKs, installed from their registries; without a network they are skipped.
test-sdks: .venv/test
	$(BIN)/python -m pytest -n auto -m sdk_matrix tests/tencent/server/test_sdk_matrix.py

# Needs a Chromium: apt-get install chromium. Without one the tests are skipped.
test-browser: .venv/browser
	$(BIN)/python -m pytest tests/tencent/server/test_explorer_page.py

# A cluster of two nodes on loopback, and an object store. The first time this installs Ray.
test-fleet: .venv/fleet
	$(BIN)/python -m pytest tests/fleet/test_ray.py tests/fleet/test_store.py

lint: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --platform win32
	$(BIN)/lint-imports --no-logo

clean:
	rm -rf .venv out

# A .venv that was only half made, or whose Python is gone, is made again: everything in it is old.
ifeq ($(shell $(BIN)/python -m pip --version 2>/dev/null),)
.PHONY: .venv/bin/python
endif

.venv/bin/python:
	@echo "Creating .venv ..." >&2
	@$(PYTHON) -m venv .venv 2>/dev/null && $(BIN)/python -m pip --version >/dev/null 2>&1 \
		|| $(PYTHON) -m venv --clear .venv

.venv/demo: .venv/bin/python pyproject.toml
	@echo "Installing faceshape and scikit-image into .venv; the first time this takes minutes ..." >&2
	@$(BIN)/python -m pip install --disable-pip-version-check --editable . scikit-image >&2
	@touch $@

.venv/test: .venv/bin/python pyproject.toml
	@echo "Installing faceshape and what its tests need into .venv ..." >&2
	@$(BIN)/python -m pip install --disable-pip-version-check --editable '.[test,bench]' >&2
	@touch $@

.venv/browser: .venv/test
	$(BIN)/python -m pip install --quiet --editable '.[test,bench,browser]'
	@touch $@

.venv/fleet: .venv/test
	$(BIN)/python -m pip install --quiet --editable '.[test,bench,ray]'
	@touch $@
